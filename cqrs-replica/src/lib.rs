//! The replica side: applies a master's events to your database, once each and in order.
//!
//! # Start here
//!
//! A table that follows a master's needs no code: `[[replica.model]]` in `cqrs.toml` and the binary `cqrs-replica`.
//! A program of your own needs four names:
//!
//! * [`Replica`], derived: a struct as the mapping of such a table;
//! * [`Handler`]: code that is called with each event, in the transaction that marks it as applied;
//! * [`Model`]: one of these for a `cqrs_id`, with its retries and limits;
//! * `cli::main_with`: the whole of `cqrs-replica` with these models, or [`Worker`] inside of a service.
//!
//! ```no_run
//! # #[cfg(all(feature = "cli", feature = "derive", feature = "postgres"))]
//! # mod example {
//! use cqrs_replica::{Model, Replica, cli, postgres::PostgresReplica};
//!
//! #[derive(Replica)]
//! #[replica(cqrs_id = "account", table = "account_ref")]
//! struct AccountRef {
//!     #[replica(key)]
//!     id: i64,
//!     #[replica(from = "status")]
//!     state: String,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cli::main_with::<PostgresReplica>(|| Ok(vec![Model::of::<AccountRef>()?]))
//! }
//! # }
//! ```
//!
//! | feature, all on by default but `derive` | what it brings |
//! |---|---|
//! | `postgres`, `sqlite` | the database |
//! | `rabbitmq`, `embedded` | the broker |
//! | `cli` | the commands |
//! | `reconcile` | comparing tables with a master's database that is read directly |
//! | `tls` | TLS to database and broker |
//! | `derive` | `#[derive(Replica)]` |

mod acks;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod apply;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod breaker;
mod broker_letters;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
pub mod dead;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod delete_limit;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod diff;
mod error;
mod failure;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod freshness;
mod handler;
mod heartbeat;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod hooks;
mod lane;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod letter;
mod letters;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod load;
mod migrate;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod migrations;
mod model;
mod plain;
#[cfg(feature = "postgres")]
pub mod postgres;
mod publishing;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod reconcile;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod removal;
mod replica;
mod retrying;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod rules;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod status;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod step;
mod store;
mod supervisor;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod table;
mod worker;
mod worker_id;

#[doc = include_str!("docs/metrics.md")]
pub mod metrics {}

pub use broker_letters::{Imported, UnpublishedLetter};
pub use config::{InvalidConfig, WorkerConfig};
pub use cqrs_core::Shutdown;
#[cfg(feature = "derive")]
pub use cqrs_macros::Replica;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use delete_limit::{DeleteLimit, TooManyDeletes};
pub use error::WorkerError;
pub use failure::Failure;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use freshness::{Freshness, NotFresh};
pub use handler::Handler;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use hooks::Hooks;
pub use migrate::migrate;
pub use model::{DuplicateModel, Model, Models, OnExpired, TableModel};
pub use replica::Replica;
pub use retrying::{FailedAttempt, Retry};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use step::Step;
pub use store::{
    Applied, ApplyPolicy, DueLetters, Incoming, Letter, LetterFilter, LetterGroup, LetterState,
    ReplicaSession, ReplicaStatus, ReplicaStore, SkipReason, WaitReason, WaitingModel, WorkerBeat,
    WorkerRow,
};
pub use worker::Worker;
pub use worker_id::new_worker_id;
