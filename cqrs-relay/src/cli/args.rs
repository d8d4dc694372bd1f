//! The arguments.

use clap::{Args, Parser, Subcommand};
use cqrs_core::cli::Options;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::capture::CaptureCommand;
use crate::dead::Which;

/// Forwards a master's outbox to the broker.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Every key of cqrs.toml can also be set in the environment \
                  (CQRS_MASTER_DATABASE, CQRS_BROKER_URL, CQRS_RELAY_BATCH_SIZE, …). CQRS_LOG \
                  filters the log, as in `info,cqrs_relay=debug` [default: \
                  info,lapin=off,sqlx=warn]. Message bodies and secrets are never logged.",
    mut_arg("database", |arg| arg.help(
        "The master's database, instead of master.database; visible in the list of processes, so that a \
         password is better kept in the file or in CQRS_MASTER_DATABASE"
    ))
)]
pub struct Cli {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Forward events until told to stop: SIGTERM finishes what is in flight, a second one stops at once.
    #[command(after_help = "Example: cqrs-relay run --config cqrs.toml")]
    Run(Run),
    /// Create the tables of the master side, or bring them up to date.
    #[command(after_help = "Example: cqrs-relay migrate --database postgres://localhost/shop")]
    Migrate,
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[command(flatten)]
    Table(super::table_args::TableCommand),
    /// Show how the outbox is doing.
    #[command(after_help = "Example: cqrs-relay status --json")]
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look after rows that were given up.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Use triggers to record every write to a table, whichever program makes it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[command(subcommand)]
    Capture(CaptureCommand),
}

/// What `run` takes. Texts, since the configuration checks them and says what is wrong.
#[derive(Debug, Default, Args)]
pub(super) struct Run {
    /// How many rows one fetch brings at most, instead of `relay.batch_size`.
    #[arg(long, value_name = "N")]
    pub(super) batch_size: Option<String>,
    /// How many rows are held in memory at most, instead of `relay.window`.
    #[arg(long, value_name = "N")]
    pub(super) window: Option<String>,
    /// How many connections publish at the same time, instead of `relay.publishers`.
    #[arg(long, value_name = "N")]
    pub(super) publishers: Option<String>,
    /// How long slots are safe after a sign of life, instead of `relay.lease`.
    #[arg(long, value_name = "TIME")]
    pub(super) lease: Option<String>,
    /// The longest pause between two looks at an idle outbox, instead of `relay.poll_interval`.
    #[arg(long, value_name = "TIME")]
    pub(super) poll_interval: Option<String>,
    /// How long a stop may take, instead of `relay.drain_timeout`.
    #[arg(long, value_name = "TIME")]
    pub(super) drain_timeout: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// List dead rows, newest first.
    #[command(after_help = "Example: cqrs-relay dead list --limit 10")]
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one dead row with its body.
    #[command(after_help = "Example: cqrs-relay dead show 17")]
    Show {
        /// Its number.
        id: i64,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put rows back into the outbox.
    #[command(after_help = "Example: cqrs-relay dead retry --all")]
    Retry {
        #[command(flatten)]
        which: Named,
        /// Also those whose instance has had a later revision since.
        #[arg(long)]
        force: bool,
    },
    /// Delete rows for good.
    #[command(after_help = "Example: cqrs-relay dead discard 17 18")]
    Discard {
        #[command(flatten)]
        which: Named,
        /// Do it. Without, --all only says how many rows there are.
        #[arg(long)]
        yes: bool,
    },
}

/// Some rows, or all of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Named {
    /// Their numbers.
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

impl From<Named> for Which {
    fn from(named: Named) -> Self {
        if named.all {
            Self::All
        } else {
            Self::Ids(named.ids)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rows_are_named_or_all_of_them_are_meant() {
        let which = |line: &str| match parse(line).unwrap().command {
            Command::Dead(DeadCommand::Retry { which, force }) => (Which::from(which), force),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            which("r dead retry 3 5 --force"),
            (Which::Ids(vec![3, 5]), true)
        );
        assert_eq!(which("r dead retry --all"), (Which::All, false));
        assert!(parse("r dead retry").is_err());
        assert!(parse("r dead discard 3 --all").is_err());
    }

    #[test]
    fn passwords_do_not_show() {
        let cli = parse("r run --database postgres://u:hush@h/d --broker amqp://g:hush@h").unwrap();
        assert!(!format!("{cli:?}").contains("hush"));
    }
}
