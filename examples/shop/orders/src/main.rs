//! `shop-orders`: the service by itself.

use std::{io::IsTerminal, net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use clap::Parser;
use cqrs_core::{SecretUrl, SystemClock};
use shop_orders::{Service, api::IdSource};
use tokio::net::TcpListener;

/// The shop's service that owns accounts, products and orders.
#[derive(Debug, Parser)]
struct Cli {
    /// postgres://… or sqlite://…
    #[arg(long, env = "SHOP_ORDERS_DATABASE")]
    database: String,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the one place that mints ids")]
    let ids = IdSource::new(uuid::Uuid::now_v7);
    let database = SecretUrl::new(cli.database);
    let service = Service::open(&database, Arc::new(SystemClock), ids).await?;
    let listener = TcpListener::bind(cli.listen).await;
    let listener = listener.with_context(|| format!("listening on {}", cli.listen))?;
    tracing::info!("orders on http://{}", listener.local_addr()?);
    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "no signal can be heard");
            std::future::pending::<()>().await;
        }
    };
    service.serve(listener, stop).await
}
