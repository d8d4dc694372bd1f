//! The command line of `cqrs-replica`, for binaries of your own too.
//!
//! A service with handlers builds its worker and gets the same commands, flags, logging and signals
//! in one line. The handlers' models join those of `[[replica.model]]` in `cqrs.toml`.
//!
//! ```no_run
//! # use cqrs_core::Event;
//! # use cqrs_replica::{Failure, Handler, Model, ReplicaStore, cli};
//! # struct Accounts;
//! # impl<S: ReplicaStore> Handler<S> for Accounts {
//! #     async fn apply(&self, _: &mut S::Connection, _: &Event) -> Result<(), Failure> { Ok(()) }
//! # }
//! # fn example<PostgresReplica: cli::Database>() -> std::process::ExitCode {
//! // fn main() -> std::process::ExitCode {
//! cli::main_with::<PostgresReplica>(|| {
//!     Ok(vec![Model::handler("account".parse()?, Accounts)])
//! })
//! // }
//! # }
//! ```
//!
//! Exit codes: 0 after a stop that finished everything, or a command that did what it was to do; 1
//! for an error, in words on stderr; 2 for arguments that make no sense.

mod args;
mod broker;
mod database;
mod dead;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod deletes;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod diff;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod load;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod master;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod reconcile;
mod run;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod unbind;
#[cfg(unix)]
mod workers;

use std::process::ExitCode;

use clap::Parser;
use cqrs_core::cli::output;

pub use args::Cli;
pub use database::Database;

use self::args::{Command, DeadCommand};
use crate::{Model, status};

/// The stock program: the models of `cqrs.toml`, and any database this crate was built for.
#[must_use]
pub fn main() -> ExitCode {
    start(database::execute)
}

/// The same program with handlers, for one kind of database. `models` is called by `run` and the
/// commands that read or write what a model is kept in.
#[must_use]
pub fn main_with<S: Database>(models: impl FnOnce() -> anyhow::Result<Vec<Model<S>>>) -> ExitCode {
    start(async |cli: Cli| Box::pin(cli.execute(models)).await)
}

fn start(execute: impl AsyncFnOnce(Cli) -> anyhow::Result<()>) -> ExitCode {
    let cli = Cli::parse();
    let format = cli.options.log_format;
    cqrs_core::cli::run(cli, format, "cqrs_replica", execute)
}

impl Cli {
    /// Does what the arguments say. Logging and the runtime are the caller's, signals are ours.
    ///
    /// # Errors
    /// What went wrong, with its causes; secrets are not in it.
    ///
    /// # Cancellation
    /// As for [`Worker::run`](crate::Worker::run): the hard stop.
    pub async fn execute<S: Database>(
        self,
        models: impl FnOnce() -> anyhow::Result<Vec<Model<S>>>,
    ) -> anyhow::Result<()> {
        let config = settings::load(&self)?;
        let replica = config.require_replica()?;
        let store: S = database::open(replica)?;
        match self.command {
            // Boxed, or the types of their futures are nested too deeply for users' crates.
            Command::Run(arguments) => {
                Box::pin(run::run(store, &config, models()?, &arguments)).await
            }
            Command::Migrate => {
                crate::migrate(&replica.database).await?;
                output::line("the tables are up to date")
            }
            Command::Status { json } => {
                let report = status::status(&store, &replica.queue).await?;
                output::report(&report, json)
            }
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Reconcile(arguments) => {
                Box::pin(reconcile::execute(store, &config, models()?, arguments)).await
            }
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Unbind { models: cqrs_ids } => {
                Box::pin(unbind::execute(&config, models()?, cqrs_ids)).await
            }
            Command::Dead(DeadCommand::Broker(command)) => {
                Box::pin(broker::execute(store, &config, command)).await
            }
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Load(load) => Box::pin(load::execute(store, &config, models()?, load)).await,
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Diff(command) => {
                Box::pin(diff::execute(store, &config, models()?, command)).await
            }
            Command::Dead(command) => dead::execute(&store, &replica.queue, command).await,
        }
    }
}
