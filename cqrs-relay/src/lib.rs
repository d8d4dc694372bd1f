//! The relay: forwards the outbox of a master to a broker, confirmed and in order.
//!
//! [`Relay::run`] is the whole of it; the binary `cqrs-relay` only reads `cqrs.toml`, opens the
//! database and the broker that the URLs name, and turns signals into a [`Shutdown`].
//!
//! | failure | what happens |
//! |---|---|
//! | connection to the broker or the database lost | made anew with backoff; rows stay in the outbox |
//! | broker refuses, or nobody is bound to the model | the destination is probed; no attempts counted |
//! | a direct sync's queue does not exist | dead at once, holds back nothing |
//! | the row cannot be sent by anyone | attempts are counted, its instance waits; dead in the end |
//! | row past its time to live | dropped if superseded, otherwise dead, or sent: [`OnExpired`] |
//! | process killed or paused | others take over its slots when the lease has run out |
//! | a connection fails for longer than the lease | others that can take over its slots, until it works |
//!
//! # Start here
//!
//! The binary needs no code: `[master]` and `[broker]` in `cqrs.toml`, then `cqrs-relay migrate` and `cqrs-relay run`.
//! Inside of a service it is [`Relay`] with a [`RelayConfig`]. A service whose models have code of their own gets all
//! commands with `cli::main_with`.
//!
//! | feature, all on by default | what it brings |
//! |---|---|
//! | `postgres`, `sqlite` | the database |
//! | `rabbitmq`, `embedded` | the broker |
//! | `cli` | the commands |
//! | `tls` | TLS to database and broker |
//!
//! Metrics: see [`metrics`].

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod answers;
mod blocked;
#[cfg(feature = "cli")]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(
        dead_code,
        clippy::unused_async,
        reason = "without any database only errors are left"
    )
)]
pub mod cli;
mod config;
pub mod dead;
mod desk;
mod destination;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod diff;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod dump;
mod error;
mod event;
mod expiry;
mod fair_share;
mod fitness;
mod lane;
mod lease_keeper;
mod line;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod lines;
mod meter;
mod outage;
mod owner;
mod peers;
mod poll;
mod pump;
mod reader;
mod relay;
mod row_fault;
mod settler;
mod share;
pub mod status;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod sync;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod table_error;
mod tenure;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod watch;
mod window;

#[doc = include_str!("docs/metrics.md")]
pub mod metrics {}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use answers::Answers;
pub use config::{OnExpired, RelayConfig, RelayConfigError};
pub use cqrs_core::Shutdown;
pub use error::RelayError;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use lines::KeyLines;
pub use owner::new_owner;
pub use relay::Relay;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use table_error::TableError;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use watch::Watch;
