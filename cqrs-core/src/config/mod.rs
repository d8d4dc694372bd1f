//! `cqrs.toml`: one file for all processes, completed from the environment and from flags.
//!
//! [`Config::load`] takes its [`Sources`] as a parameter and reads nothing else. Flags win over
//! variables, variables over the file, the file over defaults. Unknown keys and variables are
//! refused. Every problem is reported at once, each with its place, its key and a remedy; the value
//! of a secret is in none of them, nor in any `Debug`. All keys stand in `docs/configuration.md`.
//!
//! ```
//! use std::time::Duration;
//!
//! use cqrs_core::config::{Config, Sources};
//!
//! let sources = Sources::text("cqrs.toml", "[relay]\nbatch_size = 100\nlease = '1s'")
//!     .with_env([("CQRS_RELAY_LEASE", "5s")])
//!     .with_flag("relay.publishers", "--publishers", "4");
//! let config = Config::load(&sources)?;
//! assert_eq!(config.relay.batch_size, 100);
//! assert_eq!(config.relay.lease, Duration::from_secs(5));
//! assert_eq!(config.relay.publishers, 4);
//! # Ok::<(), cqrs_core::config::ConfigError>(())
//! ```

mod attempts;
mod broker;
mod columns;
mod duration;
mod filter;
mod kind;
mod load;
mod master;
mod names;
mod problem;
mod reader;
mod reference;
mod relay;
mod replica;
mod replica_model;
mod section;
mod sources;
mod suggest;
#[cfg(test)]
mod tests;
mod tracked;
mod unknown;

pub use attempts::Attempts;
pub use broker::Broker;
pub use columns::TableName;
pub use load::{Config, Needed};
pub use master::{Master, MasterModel};
pub use problem::{ConfigError, Place, Problem};
pub use reference::reference;
pub use relay::{ExpiredRow, Relay};
pub use replica::{ExpiredMessage, Replica};
pub use replica_model::ReplicaModel;
pub use sources::Sources;
pub use tracked::TrackedFields;
