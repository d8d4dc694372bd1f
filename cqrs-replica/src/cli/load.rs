//! `load`.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::Args;
use cqrs_core::{
    CqrsId, Shutdown, SystemClock,
    cli::{ProgressArgs, Signals, output},
    config::Config,
};
use serde::Serialize;

use super::{Database, deletes::Deletes, settings};
use crate::{
    Model, Models,
    diff::DiffOf,
    load::{self, Cleared, LoadEvent, LoadOptions, Loaded},
    new_worker_id,
};

/// What `load` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: a new replica, while its worker runs already
  cqrs-relay dump --model account -o - | cqrs-replica load -i -

Revisions decide: a row that is older than what is known changes nothing, so a dump may be loaded
again, or from the line on at which a load was stopped. A row that cannot be applied becomes a letter
(`dead-letters list`), and the load goes on and ends with exit code 1.")]
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
    /// Afterwards the table holds the dump, and what live events have brought since: rows are loaded over
    /// what is as new, and those that the dump does not have are removed at the end, if it is whole and
    /// none failed.
    #[arg(long, conflicts_with = "from_line")]
    clear: bool,
    #[command(flatten)]
    deletes: Deletes,
    /// The dump is one of `cqrs_bulk_dump`, which writes no end mark: it may be incomplete.
    #[arg(long)]
    without_end_mark: bool,
    /// The members of a row that are its key, where the table does not tell.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    key: Option<Vec<String>>,
    /// A summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

pub(super) async fn execute<S: Database>(
    store: S,
    config: &Config,
    handlers: Vec<Model<S>>,
    load: Load,
) -> anyhow::Result<()> {
    let replica = config.require_replica()?;
    let models = Models::new(settings::tables(replica).chain(handlers))?;
    let of = DiffOf {
        store,
        models: Arc::new(models),
        queue: replica.queue.clone(),
    };
    let worker = settings::worker(replica);
    let mut options = LoadOptions::new(worker.apply);
    options.cqrs_id.clone_from(&load.model);
    options.key.clone_from(&load.key);
    options.batch = load.batch.try_into()?;
    options.lanes = load.lanes.unwrap_or(worker.lanes);
    options.from_line = load.from_line.unwrap_or(2);
    options.end_mark = !load.without_end_mark;
    options.clear = load.clear.then(|| new_worker_id(&SystemClock));
    let input: Box<dyn BufRead + Send> = if load.input.as_os_str() == "-" {
        Box::new(BufReader::with_capacity(1 << 20, io::stdin()))
    } else {
        let file = File::open(&load.input);
        let file = file.with_context(|| format!("cannot open {}", load.input.display()))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    let began = load::begin(&of).await?;
    let mut signals = Signals::new()?;
    let shutdown = Shutdown::new();
    let progress = load.progress.start("load", None);
    let mut rows = 0;
    let told = |event: LoadEvent<'_>| match event {
        LoadEvent::Failed(failure) => progress.note(&failure.to_string()),
        LoadEvent::Rows(more) => {
            rows += more;
            progress.at(rows);
        }
    };
    let stop = &shutdown.drain;
    let loaded = tokio::select! {
        loaded = load::load(&of.store, &of.models, &options, input, stop, told) => loaded?,
        () = shutdown.stop.cancelled() => bail!("stopped at once"),
        never = signals.stop(&shutdown) => match never {},
    };
    drop(progress);
    let (cleared, refused) = if load.clear && loaded.is_whole() && !loaded.filtered {
        match load::clear(&of, &loaded, began, load.deletes.limit()).await {
            Ok(cleared) => (Some(cleared), None),
            Err(error) => (None, Some(error)),
        }
    } else {
        (None, None)
    };
    output::report(&Outcome::new(loaded.clone(), cleared), load.json)?;
    if let Some(line) = loaded.stopped_at {
        if load.clear {
            bail!("stopped before the end, and none was removed: load it again from its start");
        }
        bail!("stopped before the end: go on with --from-line {line}");
    }
    if let Some(why) = loaded.incomplete {
        let removed = if load.clear { "; none was removed" } else { "" };
        bail!("the dump is incomplete: {why}{removed}");
    }
    if let Some(error) = refused {
        return Err(error)
            .context("the dump is loaded; the rows that it lacks were not all removed");
    }
    if load.clear && loaded.filtered {
        bail!(
            "the dump was made with --filter, so a row that it does not have may be on the master all the \
             same: none was removed"
        );
    }
    if load.clear && cleared.is_none() {
        bail!(
            "not all rows could be loaded, so none was removed: mend what failed, and load again"
        );
    }
    match loaded.failed + cleared.map_or(0, |cleared| cleared.failed) {
        0 => Ok(()),
        1 => bail!("1 row failed"),
        failed => bail!("{failed} rows failed"),
    }
}

/// What came of it all.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    loaded: Loaded,
    /// Rows that the dump does not have.
    removed: Option<u64>,
}

impl Outcome {
    fn new(loaded: Loaded, cleared: Option<Cleared>) -> Self {
        Self {
            loaded,
            removed: cleared.map(|cleared| cleared.removed),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.loaded)?;
        match self.removed {
            Some(removed) => write!(f, ", {removed} removed"),
            None => Ok(()),
        }
    }
}
