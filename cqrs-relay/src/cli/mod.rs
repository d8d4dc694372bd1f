//! The command line of `cqrs-relay`, for binaries of your own too.
//!
//! ```no_run
//! // fn main() -> std::process::ExitCode {
//! cqrs_relay::cli::main()
//! // }
//! # ;
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
#[cfg(feature = "postgres")]
mod postgres;
mod run;
mod settings;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::process::ExitCode;

use clap::Parser;
use cqrs_core::cli::output;
use cqrs_outbox::OutboxStore;

pub use args::Cli;

use self::{args::Command, database::WithStore};
use crate::status::status;

/// The whole program: arguments, logging, runtime, exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.options.log_format;
    cqrs_core::cli::run(cli, format, "cqrs_relay", Cli::execute)
}

impl Cli {
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
            Command::Run(_) => run::run(&config).await,
            Command::Migrate => {
                cqrs_outbox::migrate(&master.database).await?;
                output::line("the tables are up to date")
            }
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
