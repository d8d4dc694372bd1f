//! `shop`: everything in one process.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
};

use anyhow::Result;
use clap::Parser;
use cqrs_core::{Shutdown, cli::Signals};
use shop::{place::Place, system::System, traffic};
use shop_orders::api::IdSource;

/// A small shop of two services, with all that lies between them. Without options it needs no server.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// A cqrs.toml with `[broker]`, `[master]` for the orders and `[replica]` for the reports.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// A directory for SQLite files, which stay. Without it they are gone at the end.
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Customers that send so many commands a second, as in 50/s.
    #[arg(long, value_name = "RATE")]
    traffic: Option<Rate>,
    /// Where the page is.
    #[arg(long, default_value = "127.0.0.1:8080")]
    page: SocketAddr,
    /// Where the orders' service is.
    #[arg(long, default_value = "127.0.0.1:8081")]
    orders: SocketAddr,
    /// Where the reports' service is.
    #[arg(long, default_value = "127.0.0.1:8082")]
    reports: SocketAddr,
}

/// So many a second.
#[derive(Debug, Clone, Copy)]
struct Rate(u32);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text).parse();
        match number {
            Ok(rate @ 1..=1_000) => Ok(Self(rate)),
            _ => Err("give a rate from 1/s to 1000/s"),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        // lapin would write the bodies of messages.
        .with_env_filter(filter.add_directive("lapin=off".parse().expect("it is a directive")))
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
    // Before anything else: from here on a signal is a request.
    let mut signals = Signals::new()?;
    let place = match (&cli.config, &cli.data) {
        (Some(file), _) => Place::of_file(file)?,
        (None, Some(directory)) => Place::embedded(directory)?,
        (None, None) => Place::temporary()?,
    };
    let config = place.file.display().to_string();
    let gone = if place.is_temporary() {
        " (gone at the end; keep it with --data DIRECTORY)"
    } else {
        ""
    };
    #[expect(clippy::disallowed_methods, reason = "the one place that mints ids")]
    let ids = IdSource::new(uuid::Uuid::now_v7);
    let system = System::open(place, [cli.page, cli.orders, cli.reports], ids).await?;
    let [page, orders, reports] = system.addresses;
    let mut out = std::io::stdout();
    writeln!(out, "page     http://{page}/")?;
    writeln!(out, "orders   http://{orders}/openapi.json")?;
    writeln!(out, "reports  http://{reports}/openapi.json")?;
    writeln!(
        out,
        "look in  cargo run -p cqrs-relay -- status --config {config}{gone}"
    )?;
    out.flush()?;

    let shutdown = Shutdown::new();
    let customers = async {
        match cli.traffic {
            Some(Rate(rate)) => {
                let stop = shutdown.drain.clone();
                // Others than last time: a customer with the same seed would repeat the same commands.
                let seed = fastrand::u64(..);
                let customers = traffic::run(format!("http://{orders}"), rate, seed, stop);
                let ended = customers.await;
                shutdown.drain.cancel();
                ended
            }
            None => Ok(()),
        }
    };
    let both = async {
        let (ran, bought) = tokio::join!(system.run(shutdown.clone()), customers);
        ran.and(bought)
    };
    tokio::select! {
        ended = both => ended,
        never = signals.stop(&shutdown) => match never {},
    }
}
