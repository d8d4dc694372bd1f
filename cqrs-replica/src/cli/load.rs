//! `load`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::Args;
use cqrs_core::{
    CqrsId, Shutdown,
    cli::{ProgressArgs, Signals, output},
    config::Config,
};

use super::{Database, settings};
use crate::{
    Model, Models,
    load::{self, LoadEvent, LoadOptions},
};

/// What `load` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: a new replica, while its worker runs already
  cqrs-relay dump --model account -o - | cqrs-replica load -i -

Revisions decide: a row that is older than what is known changes nothing, so a dump may be loaded
again, or from the line on at which a load was stopped. A row that cannot be applied becomes a letter
(`dead list`), and the load goes on and ends with exit code 1.")]
pub(super) struct Load {
    /// The dump; `-`: standard input.
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// The model that the dump must be of.
    #[arg(long, value_name = "ID")]
    model: Option<CqrsId>,
    /// How many rows one transaction applies at most.
    #[arg(short, long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10000))]
    batch: u32,
    /// How many batches are applied at the same time, instead of `replica.lanes`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    lanes: Option<u16>,
    /// The first line to load, as a load that was stopped names it.
    #[arg(long, value_name = "N")]
    from_line: Option<u64>,
    /// The members of a row that are its key, where the table does not tell.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    key: Option<Vec<String>>,
    #[command(flatten)]
    progress: ProgressArgs,
    /// A summary as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute<S: Database>(
    store: &S,
    config: &Config,
    handlers: Vec<Model<S>>,
    load: Load,
) -> anyhow::Result<()> {
    let replica = config.require_replica()?;
    let models = Models::new(settings::tables(replica).chain(handlers))?;
    let worker = settings::worker(replica);
    let mut options = LoadOptions::new(worker.apply);
    options.cqrs_id = load.model;
    options.key = load.key;
    options.batch = load.batch.try_into()?;
    options.lanes = load.lanes.unwrap_or(worker.lanes);
    options.from_line = load.from_line.unwrap_or(2);
    let input: Box<dyn BufRead + Send> = if load.input.as_os_str() == "-" {
        Box::new(BufReader::with_capacity(1 << 20, io::stdin()))
    } else {
        let file = File::open(&load.input);
        let file = file.with_context(|| format!("cannot open {}", load.input.display()))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    let mut signals = Signals::new()?;
    let shutdown = Shutdown::new();
    let progress = load.progress.start("load", None);
    let mut done = 0;
    let told = |event: LoadEvent<'_>| match event {
        LoadEvent::Rows(rows) => {
            done += rows;
            progress.at(done);
        }
        LoadEvent::Failed(failure) => progress.note(&failure.to_string()),
    };
    let loaded = tokio::select! {
        loaded = load::load(store, &models, &options, input, &shutdown.drain, told) => loaded?,
        () = shutdown.stop.cancelled() => bail!("stopped at once"),
        never = signals.stop(&shutdown) => match never {},
    };
    drop(progress);
    output::report(&loaded, load.json)?;
    if let Some(line) = loaded.stopped_at {
        bail!("stopped before the end: go on with --from-line {line}");
    }
    if loaded.failed > 0 {
        bail!("{} rows failed", loaded.failed);
    }
    Ok(())
}
