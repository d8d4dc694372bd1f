//! `diff`, `deleted-diff`, `deleted-sync`.

use std::{
    fmt::Display,
    io::{self, BufWriter},
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cqrs_core::{
    CqrsId,
    cli::{Progress, ProgressArgs, output, unless_stopped},
    config::Config,
    filter::Filter,
    stream::Lines,
};
use serde::Serialize;

use super::{Database, deletes::Deletes, settings};
use crate::{
    Model, Models,
    diff::{self, DiffError, DiffEvent, DiffOf},
};

#[derive(Debug, Subcommand)]
pub(super) enum DiffCommand {
    /// Compare the master's keys and revisions with this replica, and write the keys to send again.
    #[command(
        after_help = "Example: cqrs-relay diff --model account | cqrs-replica diff | cqrs-relay diff-sync"
    )]
    Diff(Piped),
    /// Write the keys of a table, for the master to say which it has no more.
    #[command(
        after_help = "Example: cqrs-replica deleted-diff --model account | cqrs-relay deleted-diff | cqrs-replica deleted-sync"
    )]
    DeletedDiff(DeletedDiff),
    /// Delete rows that no longer exist on the master, except those changed since the stream began.
    #[command(
        after_help = "Example: cqrs-replica deleted-diff --model account | cqrs-relay deleted-diff | cqrs-replica deleted-sync"
    )]
    DeletedSync {
        #[command(flatten)]
        piped: Piped,
        #[command(flatten)]
        deletes: Deletes,
    },
}

/// What a command takes that reads a stream.
#[derive(Debug, Args)]
pub(super) struct Piped {
    /// The stream, `-` for stdin.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    input: String,
    /// The input is of a command of django-cqrs, which writes no end mark: it may be incomplete.
    #[arg(long)]
    without_end_mark: bool,
    /// A summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub(super) struct DeletedDiff {
    /// The model's `cqrs_id`.
    #[arg(long, short = 'c', value_name = "CQRS_ID", alias = "cqrs-id")]
    model: CqrsId,
    /// Which rows, as JSON [default: all].
    #[arg(long, short, value_name = "JSON")]
    filter: Option<Filter>,
    /// How many keys a line has.
    #[arg(long, short, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
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
    command: DiffCommand,
) -> anyhow::Result<()> {
    let replica = config.require_replica()?;
    let models = Models::new(settings::tables(replica).chain(handlers))?;
    let of = DiffOf {
        store,
        models: Arc::new(models),
        queue: replica.queue.clone(),
    };
    match command {
        DiffCommand::Diff(args) => {
            let progress = args.progress.start("diff", None);
            let mut lines = open(&args)?;
            let mut out = BufWriter::new(io::stdout());
            let done = diff::diff(&of, &mut lines, &mut out, |event| show(&progress, event));
            let done = written(unless_stopped(done).await?)?;
            drop(progress);
            beside(&done, args.json)
        }
        DiffCommand::DeletedDiff(args) => {
            let progress = args.progress.start("deleted-diff", None);
            let mut out = BufWriter::new(io::stdout());
            let filter = args.filter.unwrap_or_default();
            let batch = usize::try_from(args.batch)?;
            let on = |event: DiffEvent<'_>| show(&progress, event);
            let done = diff::deleted_diff(&of, &args.model, &filter, batch, &mut out, on);
            let done = written(done.await)?;
            drop(progress);
            beside(&done, args.json)?;
            whole(done.failed)
        }
        DiffCommand::DeletedSync {
            piped: args,
            deletes,
        } => {
            let progress = args.progress.start("deleted-sync", None);
            let mut lines = open(&args)?;
            let on = |event: DiffEvent<'_>| show(&progress, event);
            let done = diff::deleted_sync(&of, &mut lines, deletes.limit(), on).await?;
            drop(progress);
            output::report(&done, args.json)?;
            whole(done.failed)
        }
    }
}

fn open(args: &Piped) -> anyhow::Result<Lines> {
    let name = &args.input;
    let lines = Lines::open(name).with_context(|| format!("the file {name} cannot be read"))?;
    Ok(if args.without_end_mark {
        lines.without_end_mark()
    } else {
        lines
    })
}

fn show(progress: &Progress, event: DiffEvent<'_>) {
    match event {
        DiffEvent::Rows(rows) => progress.at(rows),
        DiffEvent::Note(text) => progress.note(text),
    }
}

/// Says of output that nobody reads what it means.
fn written<T>(done: Result<T, DiffError>) -> anyhow::Result<T> {
    match done {
        Err(DiffError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            bail!("output closed before the command finished")
        }
        done => Ok(done?),
    }
}

/// A summary on stderr, beside the data on stdout.
fn beside(done: &(impl Serialize + Display), json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string(done)?
    } else {
        done.to_string()
    };
    output::aside(&text);
    Ok(())
}

fn whole(failed: u64) -> anyhow::Result<()> {
    match failed {
        0 => Ok(()),
        1 => bail!("1 row failed"),
        rows => bail!("{rows} rows failed"),
    }
}
