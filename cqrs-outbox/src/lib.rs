//! The master side: record changes inside your own transaction, and the store behind the relay.
//!
//! # Start here
//!
//! A service that owns rows needs four names:
//!
//! * [`Master`], derived or written by hand: what replicas see of a struct;
//! * [`Change`]: what happened to an instance;
//! * [`record`] (and [`record_all`], [`bulk_create`], …): writes the event in your open transaction;
//! * [`Recorder`]: the same with settings for all models, such as a time to live.
//!
//! ```no_run
//! # #[cfg(all(feature = "derive", feature = "postgres"))]
//! # mod example {
//! use cqrs_outbox::{self as outbox, Change, Master};
//!
//! #[derive(Master)]
//! #[master(cqrs_id = "account")]
//! struct Account {
//!     #[master(key)]
//!     id: i64,
//!     status: String,
//! }
//!
//! async fn close(pool: &sqlx::PgPool, id: i64) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut tx = pool.begin().await?;
//!     sqlx::query("update accounts set status = 'closed' where id = $1").bind(id).execute(&mut *tx).await?;
//!     let account = Account { id, status: "closed".to_owned() };
//!     outbox::record(&mut tx, Change::saved(&account)).await?;
//!     Ok(tx.commit().await?)
//! }
//! # }
//! ```
//!
//! The tables are made by [`migrate`], or `cqrs-relay migrate`. What else is here is for the relay and for tools:
//! [`OutboxStore`] with its rows, leases and settlements, and the modules.
//!
//! | feature | what it brings |
//! |---|---|
//! | `postgres`, `sqlite` | the database; none by default, both may be on |
//! | `derive` | `#[derive(Master)]` |
//! | `tls` | TLS to the database |

mod about;
mod bulk;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod capture;
mod change;
mod coalesce;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod command_transaction;
mod entry;
mod error;
mod fold;
mod master;
mod migrate;
#[cfg(feature = "postgres")]
pub mod postgres;
mod previous;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod reconcile;
mod record;
mod recorder;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod source;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod store;
mod table;
mod transaction;

pub use about::About;
pub use bulk::{bulk_create, bulk_update};
pub use change::Change;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use command_transaction::CommandTransaction;
// What the calls here take and answer with, so that a master needs no other crate of ours.
pub use cqrs_core::{InstanceKey, KeyPart, Revision, SecretUrl, Signal, StoreError, form};
#[cfg(feature = "derive")]
pub use cqrs_macros::Master;
pub use error::{Problem, RecordError};
pub use master::{Master, Tracked};
pub use migrate::migrate;
pub use record::{Recorded, record, record_all, record_current, record_current_all, record_each};
pub use recorder::Recorder;

pub use store::{
    Backlog, Buried, Census, Counted, DeadReason, DeadRow, Due, Epoch, Fetched, Instance, Lease,
    OutboxRow, OutboxSession, OutboxStore, Owner, Position, Postponed, RelayBeat, Retried, RowRef,
    Settled, Settlement,
};
pub use table::Table;
pub use transaction::{BeginTransaction, OpenTransaction, begin};

/// What the derive writes needs these; nobody else does.
#[cfg(feature = "derive")]
#[doc(hidden)]
pub mod __private {
    pub use serde::{Serialize, Serializer, ser::SerializeStruct};
    pub use serde_json::Value;
}
