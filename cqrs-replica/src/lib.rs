//! The replica side: applies a master's events to your database, once each and in order.

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
    Applied, ApplyPolicy, DueLetters, Incoming, Letter, LetterFilter, LetterState, ReplicaSession,
    ReplicaStatus, ReplicaStore, SkipReason, WaitReason, WaitingModel, WorkerBeat, WorkerRow,
};
pub use worker::Worker;
pub use worker_id::new_worker_id;
