//! The command line of `cqrs-relay`, for binaries of your own too.
//!
//! ```no_run
//! // fn main() -> std::process::ExitCode {
//! cqrs_relay::cli::main()
//! // }
//! # ;
//! ```
//!
//! A service whose models have code of their own gets the same program with them, in a few lines:
//!
//! ```no_run
//! # #[cfg(feature = "sqlite")]
//! # mod example {
//! # use sqlx::Row as _;
//! use cqrs_outbox::{InstanceKey, Master, Table, sqlite::SqliteStore};
//! use cqrs_relay::cli::{self, Model};
//! use serde::Serialize;
//!
//! // #[derive(Serialize, FromRow, Master)]
//! # #[derive(Serialize)]
//! struct Account {
//!     id: i64,
//!     status: String,
//! }
//! # impl Master for Account {
//! #     const CQRS_ID: &'static str = "account";
//! #     fn key(&self) -> InstanceKey { self.id.into() }
//! #     fn data(&self) -> impl Serialize { self }
//! # }
//! # impl Table for Account {
//! #     const TABLE: &'static str = "accounts";
//! #     const KEY: &'static [&'static str] = &["id"];
//! #     fn row(&self) -> impl Serialize { self }
//! # }
//! # impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for Account {
//! #     fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
//! #         Ok(Self { id: row.try_get("id")?, status: row.try_get("status")? })
//! #     }
//! # }
//!
//! fn main() -> std::process::ExitCode {
//!     cli::main_with::<SqliteStore>(|| Ok(vec![Model::of::<Account>()?]))
//! }
//! # }
//! ```
//!
//! A program with a command line of its own parses [`Cli`] as part of it and calls
//! [`Cli::execute`], or calls what that calls: [`Relay::run`](crate::Relay::run),
//! [`cqrs_outbox::migrate`], [`status()`](crate::status::status), [`dead`](crate::dead).
//!
//! Exit codes: 0 after a stop that left nothing in flight, or a command that did what it was to do; 1
//! for an error, in words on stderr; 2 for arguments that make no sense.

mod args;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod capture;
mod database;
mod dead;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod pipe;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod run;
mod settings;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod table_args;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod table_store;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod tables;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod watching;

use std::process::ExitCode;

use clap::Parser;
use cqrs_core::cli::output;
use cqrs_outbox::OutboxStore;

pub use args::Cli;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use cqrs_outbox::source::ReadModel as Model;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use table_store::Database;

use self::{args::Command, database::WithStore};
use crate::status::status;

/// The whole program: arguments, logging, runtime, exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.options.log_format;
    cqrs_core::cli::run(cli, format, "cqrs_relay", Cli::execute)
}

/// The same program with models of the caller's own code, for one kind of database: for the commands
/// that read tables. `models` is called by those only.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[must_use]
pub fn main_with<S: Database>(
    models: impl FnOnce() -> anyhow::Result<Vec<Model<S::Row>>>,
) -> ExitCode {
    let cli = Cli::parse();
    let format = cli.options.log_format;
    cqrs_core::cli::run(cli, format, "cqrs_relay", async |cli: Cli| {
        Box::pin(cli.execute_with::<S>(models)).await
    })
}

impl Cli {
    /// As [`Self::execute`], with models of the caller's own code; see [`main_with`].
    ///
    /// # Errors
    /// As [`Self::execute`].
    ///
    /// Cancellation: as for [`Self::execute`].
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub async fn execute_with<S: Database>(
        self,
        models: impl FnOnce() -> anyhow::Result<Vec<Model<S::Row>>>,
    ) -> anyhow::Result<()> {
        if !matches!(self.command, Command::Table(_)) {
            return self.execute().await;
        }
        let config = settings::load(&self.options, &self.command)?;
        let store: S = table_store::open(&config)?;
        match self.command {
            Command::Table(command) => tables::run(&store, &config, command, models()?).await,
            _ => Ok(()),
        }
    }

    /// Does what the arguments say. Logging and the runtime are the caller's, signals are ours.
    ///
    /// # Errors
    /// What went wrong, with its causes; secrets are not in it.
    ///
    /// Cancellation: as for [`Relay::run`](crate::Relay::run).
    pub async fn execute(self) -> anyhow::Result<()> {
        let Self { options, command } = self;
        let config = settings::load(&options, &command)?;
        let master = config.require_master()?;
        match command {
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Run(_) => run::run(&config).await,
            #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
            Command::Run(_) => database::unsupported(&master.database, &master.database.scheme()),
            Command::Migrate => {
                cqrs_outbox::migrate(&master.database).await?;
                output::line("the tables are up to date")
            }
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Table(command) => table_store::execute(&config, command).await,
            Command::Status { json } => database::with(&config, Look { json }).await,
            Command::Dead(command) => database::with(&config, command).await,
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Command::Capture(command) => database::with_capture(&config, command).await,
        }
    }
}

/// `status`.
struct Look {
    json: bool,
}

impl WithStore for Look {
    async fn with<S: OutboxStore>(self, store: S) -> anyhow::Result<()> {
        output::report(&status(&store).await?, self.json)
    }
}
