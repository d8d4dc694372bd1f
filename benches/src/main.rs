//! Measures the path from commit to replica, beside raw baselines in the same run.
//!
//! `scripts/services start`, `. target/services/env`, then
//! `cargo run --release -p cqrs-benches -- drain`, `… -- latency`, `… -- bus` or `… -- commands`.

mod baseline;
mod bus;
mod commands;
mod pipeline;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use pipeline::Pipeline;
use tokio::time::interval;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How fast a backlog becomes rows of the replica: each part beside its raw baseline, then all.
    Drain {
        /// Events in the backlog.
        #[arg(long, default_value_t = 50_000)]
        events: u32,
    },
    /// How long after its commit a single change is visible in the replica.
    Latency {
        /// Changes, one at a time.
        #[arg(long, default_value_t = 300)]
        events: u32,
    },
    /// How fast commands and queries go through the bus, beside the same statements by hand.
    Bus {
        /// Calls of each kind.
        #[arg(long, default_value_t = 10_000)]
        calls: u32,
    },
    /// How fast the commands go through a large table, and in how much memory. They are the binaries beside
    /// this one: `cargo build --release -p cqrs-relay -p cqrs-replica` first.
    Commands {
        /// Rows of the table.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u32,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Drain { events } => drain(events).await,
        Command::Latency { events } => latency(events).await,
        Command::Bus { calls } => bus::measure(calls).await,
        Command::Commands { rows } => commands::measure(rows).await,
    }
}

/// Batches as relay and worker make them by default.
const RELAY_BATCH: usize = 500;
const WORKER_BATCH: usize = 200;

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn show(what: &str, events: u32, elapsed: Duration, baseline: Option<(&str, Duration)>) {
    let rate = f64::from(events) / elapsed.as_secs_f64();
    let ratio = baseline.map_or_else(String::new, |(name, time)| {
        format!(
            "  {:.2} x {name}",
            time.as_secs_f64() / elapsed.as_secs_f64()
        )
    });
    println!(
        "{what:<42} {:>8.2} s {rate:>9.0}/s{ratio}",
        elapsed.as_secs_f64()
    );
}

async fn drain(events: u32) -> Result<()> {
    let pipeline = Pipeline::create().await?;
    let rows = pipeline::rows(events);

    let recorded = pipeline.record(&rows).await?;
    show("record_all, 100 a transaction", events, recorded, None);

    let bodies = pipeline.bodies().await?;
    let raw = baseline::publish(&pipeline.broker, &bodies, RELAY_BATCH).await?;
    show(
        "raw publish: one lapin channel, confirmed",
        events,
        raw,
        None,
    );
    pipeline.declare_queue().await?;
    let relay = pipeline.start_relay();
    let relayed = pipeline.until_outbox_is_empty().await?;
    show(
        "relay: outbox to broker",
        events,
        relayed,
        Some(("raw publish", raw)),
    );

    let mut connection = pipeline::connect(&pipeline.replica).await?;
    let upserted = baseline::upsert(&mut connection, &rows, WORKER_BATCH).await?;
    show(
        "raw upsert: one connection, 200 rows each",
        events,
        upserted,
        None,
    );
    let worker = pipeline.start_worker()?;
    let applied = pipeline.until_applied(i64::from(events)).await?;
    show(
        "worker: broker to replica",
        events,
        applied,
        Some(("raw upsert", upserted)),
    );

    let again = pipeline.record(&rows).await?;
    show(
        "record_all while relay and worker follow",
        events,
        again,
        None,
    );
    worker.stop().await?;
    relay.stop().await?;

    pipeline.record(&rows).await?;
    let started = Instant::now();
    let (relay, worker) = (pipeline.start_relay(), pipeline.start_worker()?);
    pipeline.until_applied(i64::from(events) * 3).await?;
    let floor = raw.max(upserted);
    show(
        "end to end: outbox to replica",
        events,
        started.elapsed(),
        Some(("the slower raw", floor)),
    );
    relay.stop().await?;
    worker.stop().await
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
async fn latency(events: u32) -> Result<()> {
    let pipeline = Pipeline::create().await?;
    let (worker, relay) = (pipeline.start_worker()?, pipeline.start_relay());
    let rows = pipeline::rows(events + 1);
    // The first pays for connections and statements.
    pipeline.record(&rows[..1]).await?;
    pipeline.until_applied(1).await?;
    let mut replica = pipeline::connect(&pipeline.replica).await?;
    let mut pace = interval(Duration::from_millis(20));
    let mut times = Vec::new();
    for row in &rows[1..] {
        pace.tick().await;
        pipeline.record(std::slice::from_ref(row)).await?;
        let committed = Instant::now();
        let id = row["id"].as_i64().context("an id")?;
        loop {
            let there: bool =
                sqlx::query_scalar("select exists (select from account_copy where id = $1)")
                    .bind(id)
                    .fetch_one(&mut replica)
                    .await?;
            if there {
                break;
            }
        }
        times.push(committed.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "commit to visible, {events} changes 20 ms apart: p50 {:?}, p95 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(95),
        at(99),
        at(100)
    );
    relay.stop().await?;
    worker.stop().await
}
