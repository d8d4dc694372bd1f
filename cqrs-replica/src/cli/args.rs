//! The arguments.

#[cfg(unix)]
use std::num::NonZeroU16;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use cqrs_core::{cli::Options, config::parse_duration};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::diff::DiffCommand;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::load::Load;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::reconcile::Reconcile;
use crate::{LetterFilter, LetterState, dead::Which};

/// Applies a master's events to your database.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Every key of cqrs.toml can also be set in the environment (CQRS_REPLICA_QUEUE, \
                  CQRS_BROKER_URL, …). CQRS_LOG filters the log, as in \
                  `info,cqrs_replica=debug` [default: info,lapin=off,sqlx=warn]. \
                  Message bodies and secrets are never logged.",
    mut_arg("database", |arg| arg.help(
        "The replica's database, instead of replica.database; visible in the list of processes, so that a \
         password is better kept in the file or in CQRS_REPLICA_DATABASE"
    ))
)]
pub struct Cli {
    #[command(flatten)]
    pub(super) options: Options,
    /// The queue, instead of replica.queue.
    #[arg(long, value_name = "NAME", global = true)]
    pub(super) queue: Option<String>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Apply events until told to stop: SIGTERM finishes what is in hand, a second one stops at once.
    #[command(after_help = "Example: cqrs-replica run --workers 4 --config cqrs.toml")]
    Run(Run),
    /// Create the tables of the replica side, or bring them up to date.
    #[command(after_help = "Example: cqrs-replica migrate --database postgres://localhost/billing")]
    Migrate,
    /// Show how the replica is doing.
    #[command(after_help = "Example: cqrs-replica status --json")]
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare tables with the master's, tell what is wrong from what is late, and mend it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    Reconcile(Reconcile),
    /// Stop the events of models that are no longer applied here: remove their bindings from the queue.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[command(after_help = "Example: cqrs-replica unbind invoice")]
    Unbind {
        /// The models. None of them may be in cqrs.toml, or the next worker would bind it again.
        #[arg(required = true, value_name = "ID")]
        models: Vec<cqrs_core::CqrsId>,
    },
    /// Look after messages that could not be applied.
    #[command(subcommand, name = "dead-letters", visible_alias = "dead")]
    Dead(DeadCommand),
    /// Load a dump of `cqrs-relay dump` or of `cqrs_bulk_dump`. Live events may come meanwhile.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    Load(Load),
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[command(flatten)]
    Diff(DiffCommand),
}

/// What `run` takes. Texts, since the configuration checks them and says what is wrong.
#[derive(Debug, Default, Args)]
pub(super) struct Run {
    /// How many worker processes to run and to start again when they end; SIGHUP replaces them one
    /// after the other. Without it, one worker in this process.
    #[cfg(unix)]
    #[arg(short, long, value_name = "N")]
    pub(super) workers: Option<NonZeroU16>,
    /// The number of this worker process: what the parent adds to the arguments of its children.
    #[cfg(unix)]
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub(super) supervised: Option<NonZeroU16>,
    /// How many messages may be unacknowledged, instead of `replica.prefetch`.
    #[arg(long, value_name = "N")]
    pub(super) prefetch: Option<String>,
    /// How many batches are applied at the same time, instead of `replica.lanes`.
    #[arg(long, value_name = "N")]
    pub(super) lanes: Option<String>,
    /// How many messages one transaction applies at most, instead of `replica.batch_size`.
    #[arg(long, value_name = "N")]
    pub(super) batch_size: Option<String>,
    /// How long a batch waits to become full, instead of `replica.batch_wait`.
    #[arg(long, value_name = "TIME")]
    pub(super) batch_wait: Option<String>,
    /// How long a stop may take, instead of `replica.drain_timeout`.
    #[arg(long, value_name = "TIME")]
    pub(super) drain_timeout: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// List letters: the newest, or the oldest of those that meet a filter.
    #[command(
        after_help = "Example: cqrs-replica dead-letters list --reason constraint --limit 10"
    )]
    List {
        /// In which state.
        #[arg(long, value_enum, default_value_t)]
        state: StateFilter,
        #[command(flatten)]
        matching: Matching,
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Only how many failed in which way, with the first and the last time.
        #[arg(long, conflicts_with = "limit")]
        group: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one letter with its body.
    #[command(after_help = "Example: cqrs-replica dead-letters show 17")]
    Show {
        /// Its number.
        id: i64,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Queue letters for another attempt by a running worker. Discarded ones come back if they are named by id.
    #[command(
        after_help = "Example: cqrs-replica dead-letters retry --cqrs-id account --reason missing_column --wait=60s"
    )]
    Retry {
        #[command(flatten)]
        letters: Letters,
        /// Wait until each has been tried, and say what became of them; exit code 1 if some failed again.
        #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = period)]
        wait: Option<Duration>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give letters up. They stay in the table for a while, so that the same message is not tried again; `retry` with
    /// their ids brings them back.
    #[command(after_help = "Example: cqrs-replica dead-letters discard 17 18")]
    Discard {
        #[command(flatten)]
        letters: Letters,
        /// Do it. Without, only the number of letters that are not named one by one is said.
        #[arg(long)]
        yes: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the bodies of letters to stdout, oldest first, one to a line. They stay where they are.
    #[command(after_help = "Example: cqrs-replica dead-letters dump --format json > letters.jsonl")]
    Dump {
        /// In which state.
        #[arg(long, value_enum, default_value_t)]
        state: StateFilter,
        #[command(flatten)]
        matching: Matching,
        /// What a line is.
        #[arg(long, value_enum, default_value_t)]
        format: DumpFormat,
    },
    /// Delete letters for good, dead ones or those that are done with. Discarded letters stay and keep the
    /// same message from being tried again; purged ones are forgotten.
    #[command(after_help = "Example: cqrs-replica dead-letters purge --all --yes")]
    Purge {
        #[command(flatten)]
        letters: Letters,
        /// In which state.
        #[arg(long, value_enum, default_value_t)]
        state: StateFilter,
        /// Do it. Without, only their number is said.
        #[arg(long)]
        yes: bool,
    },
    /// Look after the broker's queue of dead letters, where workers of django-cqrs leave theirs.
    #[command(subcommand)]
    Broker(BrokerCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum BrokerCommand {
    /// List what is in it, oldest first. Everything stays there.
    #[command(after_help = "Example: cqrs-replica dead-letters broker list --json")]
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// As JSON, with the bodies.
        #[arg(long)]
        json: bool,
    },
    /// Move what is in it to the table of letters, as dead letters.
    #[command(after_help = "Example: cqrs-replica dead-letters broker import --retry")]
    Import {
        /// As letters due now; a running worker takes them up.
        #[arg(long)]
        retry: bool,
        /// How many at most; all without it.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
}

/// Some letters, or all dead ones.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Letters {
    /// Their numbers.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "cqrs_id", "reason", "fingerprint"])]
    ids: Vec<i64>,
    /// All dead ones.
    #[arg(long, conflicts_with_all = ["cqrs_id", "reason", "fingerprint"])]
    all: bool,
    /// Those of this model.
    #[arg(long, value_name = "CQRS_ID")]
    cqrs_id: Option<String>,
    /// Those of this reason, as `list` shows it.
    #[arg(long, value_name = "WORD", value_parser = reasons(), hide_possible_values = true)]
    reason: Option<String>,
    /// Those of this fingerprint, which those have that failed in the same way.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
}

impl Letters {
    pub(super) fn which(mut self) -> Which {
        if self.all {
            return Which::All;
        }
        if self.ids.is_empty() {
            return Which::Matching(LetterFilter {
                state: None,
                cqrs_id: self.cqrs_id,
                reason: self.reason,
                fingerprint: self.fingerprint,
            });
        }
        self.ids.sort_unstable();
        self.ids.dedup();
        Which::Ids(self.ids)
    }
}

pub(super) fn period(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "not a length of time, such as 500ms, 30s, 5m, 1h or 1d".to_owned())
}

/// The words for reasons; another one is a mistake of the caller's.
fn reasons() -> PossibleValuesParser {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    return crate::letter::Reason::ALL
        .map(crate::letter::Reason::as_str)
        .into();
    #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
    return [""; 0].into();
}

/// What letters must be like.
#[derive(Debug, Args)]
pub(super) struct Matching {
    /// Only those of this model.
    #[arg(long, value_name = "CQRS_ID")]
    cqrs_id: Option<String>,
    /// Only those of this reason.
    #[arg(long, value_name = "WORD", value_parser = reasons(), hide_possible_values = true)]
    reason: Option<String>,
    /// Only those of this fingerprint.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
}

impl Matching {
    pub(super) fn filter(self, state: StateFilter) -> LetterFilter {
        LetterFilter {
            state: state.state(),
            cqrs_id: self.cqrs_id,
            reason: self.reason,
            fingerprint: self.fingerprint,
        }
    }
}

/// What a line of a dump of letters is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DumpFormat {
    /// The body as it came, as `cqrs_dead_letters dump` writes it.
    #[default]
    Body,
    /// A JSON object of all that is known of the letter.
    Json,
}

/// Which letters to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum StateFilter {
    /// Waits for a revision or a model.
    Waiting,
    /// Will be tried again.
    Retrying,
    /// Needs someone.
    #[default]
    Dead,
    /// A newer state has been applied.
    Superseded,
    /// Given up.
    Discarded,
    /// Applied in the end.
    Resolved,
    /// Whatever the state.
    All,
}

impl StateFilter {
    pub(super) const fn state(self) -> Option<LetterState> {
        match self {
            Self::Waiting => Some(LetterState::Waiting),
            Self::Retrying => Some(LetterState::Retrying),
            Self::Dead => Some(LetterState::Dead),
            Self::Superseded => Some(LetterState::Superseded),
            Self::Discarded => Some(LetterState::Discarded),
            Self::Resolved => Some(LetterState::Resolved),
            Self::All => None,
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
    fn options_may_stand_before_or_after_the_command() {
        for line in ["r --queue q status --json", "r status --queue q --json"] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.queue.as_deref(), Some("q"));
            assert!(matches!(cli.command, Command::Status { json: true }));
        }
    }

    #[cfg(unix)]
    #[test]
    fn there_is_at_least_one_worker() {
        let Command::Run(run) = parse("r run -w 4").unwrap().command else {
            panic!("it is run");
        };
        assert_eq!(run.workers, NonZeroU16::new(4));
        assert!(parse("r run --workers 0").is_err());
    }

    #[test]
    fn letters_are_named_or_all_of_them_are_meant() {
        let ids = |line: &str| match parse(line).unwrap().command {
            Command::Dead(DeadCommand::Retry { letters, .. }) => letters.which(),
            other => panic!("{other:?}"),
        };
        assert_eq!(ids("r dead retry 5 3 5"), Which::Ids(vec![3, 5]));
        assert_eq!(ids("r dead-letters retry --all"), Which::All);
        assert_eq!(ids("r dead retry --wait 7"), Which::Ids(vec![7]));
        assert!(parse("r dead retry").is_err());
        let unknown = parse("r dead list --reason nonsense")
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("missing_column"), "{unknown}");
        assert!(parse("r dead retry 3 --all").is_err());
    }

    #[test]
    fn the_brokers_dead_letters_have_commands_of_their_own() {
        let command = |line: &str| match parse(line).unwrap().command {
            Command::Dead(DeadCommand::Broker(command)) => command,
            other => panic!("{other:?}"),
        };
        assert!(matches!(
            command("r dead broker list --limit 3"),
            BrokerCommand::List {
                limit: 3,
                json: false
            }
        ));
        assert!(matches!(
            command("r dead broker import --retry"),
            BrokerCommand::Import {
                retry: true,
                limit: None
            }
        ));
        assert!(parse("r dead broker").is_err());
    }

    #[test]
    fn passwords_do_not_show() {
        let cli = parse("r run --database postgres://u:hush@h/d --broker amqp://g:hush@h").unwrap();
        assert!(!format!("{cli:?}").contains("hush"));
    }
}
