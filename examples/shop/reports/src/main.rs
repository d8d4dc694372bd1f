//! `shop-reports`: the service by itself. What it shows is filled by `shop-reports-worker`.

use std::{io::IsTerminal, net::SocketAddr, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use cqrs_core::{QueueName, SecretUrl};
use shop_reports::{QUEUE, Service};
use tokio::net::TcpListener;

/// The shop's service that reads.
#[derive(Debug, Parser)]
struct Cli {
    /// postgres://… or sqlite://…
    #[arg(long, env = "SHOP_REPORTS_DATABASE")]
    database: String,
    /// The queue that the worker reads.
    #[arg(long, default_value = QUEUE)]
    queue: String,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8082")]
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
    let database = SecretUrl::new(cli.database);
    let service = Service::open(&database, QueueName::new(&cli.queue)?).await?;
    let listener = TcpListener::bind(cli.listen).await;
    let listener = listener.with_context(|| format!("listening on {}", cli.listen))?;
    tracing::info!("reports on http://{}", listener.local_addr()?);
    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "no signal can be heard");
            std::future::pending::<()>().await;
        }
    };
    service.serve(listener, stop).await
}
