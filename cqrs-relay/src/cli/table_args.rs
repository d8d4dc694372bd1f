//! The arguments of the commands that read the master's tables.

use std::{num::NonZeroU32, time::Duration};

use clap::{ArgGroup, Args, Subcommand};
use cqrs_core::{CqrsId, QueueName, cli::ProgressArgs, config::parse_duration, filter::Filter};
use cqrs_outbox::source::After;

#[derive(Debug, Subcommand)]
pub(super) enum TableCommand {
    /// Send rows of a table once more, through the outbox and in order with live changes.
    ///
    /// SIGTERM ends it after the batch at hand, and it says how to go on.
    #[command(
        group(ArgGroup::new("which").required(true).args(["filter", "all"])),
        after_help = "Examples:\n  \
            cqrs-relay sync --model account --all --rate 500/s\n  \
            cqrs-relay sync --model account --filter '{\"id__in\": [1, 2]}' --queue billing"
    )]
    Sync(SyncArgs),
    /// Write a table's instances to a file, for `cqrs-replica load` or `cqrs_bulk_load`.
    #[command(
        after_help = "Example: cqrs-relay dump --model account -o - | cqrs-replica load -i -"
    )]
    Dump(DumpArgs),
    /// Write keys and revisions of a table to stdout, for `cqrs-replica diff` or
    /// `cqrs_diff_replica`.
    #[command(
        after_help = "Example: cqrs-relay diff --model account | cqrs-replica diff | cqrs-relay diff-sync"
    )]
    Diff(DiffArgs),
    /// Send the rows once more that a replica's diff has named, to its queue.
    #[command(
        after_help = "Example: cqrs-relay diff --model account | cqrs-replica diff | cqrs-relay diff-sync"
    )]
    DiffSync(DiffSyncArgs),
    /// Of a replica's keys, write those to stdout that the master has not, or not for replicas.
    #[command(
        after_help = "Example: cqrs-replica deleted-diff --model account | cqrs-relay deleted-diff | cqrs-replica deleted-sync"
    )]
    DeletedDiff(DeletedDiffArgs),
}

/// Which model.
#[derive(Debug, Args)]
pub(super) struct ModelArg {
    /// The model's `cqrs_id`.
    #[arg(long, short = 'c', value_name = "CQRS_ID", alias = "cqrs-id")]
    pub(super) model: CqrsId,
}

/// What is told of the command.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) progress: ProgressArgs,
    /// A summary as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    pub(super) model: ModelArg,
    /// Which rows: a JSON object such as `{"status": "active", "id__gte": 100}`.
    #[arg(long, short, value_name = "JSON")]
    pub(super) filter: Option<Filter>,
    /// All rows.
    #[arg(long)]
    pub(super) all: bool,
    /// To this queue only [default: to every one].
    #[arg(long, short, value_name = "NAME", value_parser = queue)]
    pub(super) queue: Option<QueueName>,
    /// Go on behind this key, as JSON.
    #[arg(long, value_name = "KEY", value_parser = after)]
    pub(super) after: Option<After>,
    /// Replicas take the rows even where they know a later revision.
    #[arg(long)]
    pub(super) forced: bool,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// How fast syncs are recorded.
#[derive(Debug, Args)]
pub(super) struct PaceArgs {
    /// How many rows a transaction has; their revisions are locked until it ends.
    #[arg(long, short, value_name = "N", default_value = "500", value_parser = number)]
    pub(super) batch: NonZeroU32,
    /// How many rows a second at most, as in 500/s.
    #[arg(long, value_name = "N/s", value_parser = rate)]
    pub(super) rate: Option<NonZeroU32>,
    /// A pause after each batch, as in 200ms.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0s")]
    pub(super) delay: Duration,
    /// How many rows of this command may be unsent in the outbox: live changes wait for no more.
    #[arg(long, value_name = "N", default_value = "5000", value_parser = number)]
    pub(super) max_unsent: NonZeroU32,
}

#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    #[command(flatten)]
    pub(super) model: ModelArg,
    /// Which rows, as JSON [default: all].
    #[arg(long, value_name = "JSON")]
    pub(super) filter: Option<Filter>,
    /// The file, `-` for stdout [default: `<CQRS_ID>.dump`].
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<String>,
    /// Overwrite the file.
    #[arg(long, short)]
    pub(super) force: bool,
    /// How many rows are read at a time.
    #[arg(long, short, value_name = "N", default_value = "1000", value_parser = number)]
    pub(super) batch: NonZeroU32,
    /// Leave out the last line, by which `cqrs-replica load` knows that the dump is whole, and of which
    /// `cqrs_bulk_load` says that it cannot be saved.
    #[arg(long)]
    pub(super) without_end_mark: bool,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    pub(super) model: ModelArg,
    /// Which rows, as JSON [default: all].
    #[arg(long, short, value_name = "JSON")]
    pub(super) filter: Option<Filter>,
    /// How many rows a line has.
    #[arg(long, short, value_name = "N", default_value = "10000", value_parser = number)]
    pub(super) batch: NonZeroU32,
    /// Write the hash of each row's content too (for `cqrs-replica diff`, not for Django's).
    #[arg(long)]
    pub(super) content: bool,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

#[derive(Debug, Args)]
pub(super) struct DiffSyncArgs {
    /// The file with the keys, `-` for stdin.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) input: String,
    /// The input is of a command of django-cqrs, which writes no end mark: it may be incomplete.
    #[arg(long)]
    pub(super) without_end_mark: bool,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

#[derive(Debug, Args)]
pub(super) struct DeletedDiffArgs {
    /// The file with the keys, `-` for stdin.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) input: String,
    /// The input is of a command of django-cqrs, which writes no end mark: it may be incomplete.
    #[arg(long)]
    pub(super) without_end_mark: bool,
    /// How many keys are looked up at a time.
    #[arg(long, short, value_name = "N", default_value = "10000", value_parser = number)]
    pub(super) batch: NonZeroU32,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

fn queue(text: &str) -> Result<QueueName, String> {
    QueueName::new(text).map_err(|error| error.to_string())
}

fn after(text: &str) -> Result<After, String> {
    After::from_json(text)
        .map_err(|error| format!("{error}; give the key as JSON: 42, or '\"ab\"', or '[1,\"ab\"]'"))
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| "give a whole number from 1".to_owned())
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    text.strip_suffix("/s")
        .unwrap_or(text)
        .parse()
        .map_err(|_| "give a whole number of rows a second, as in 500/s".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "give a number and a unit, as in 200ms, 2s, 5m".to_owned())
}
