//! The vocabulary of the `cqrs` workspace: what an event is, how it looks on the wire, how often a
//! failure is tried again, what time it is, how messages reach a broker and come from one, and the
//! [`bus`] of commands and queries.
//!
//! Nothing here knows a database of yours. With no feature on, the crate is plain data and traits;
//! `rabbitmq` and `embedded` bring the transports, `postgres` and `sqlite` what the stores share.

pub mod bus;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod content;
mod cqrs_id;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod database;
mod event;
pub mod filter;
pub mod form;
mod instance_key;
pub mod json;
mod queue_name;
pub mod reconcile;
mod retry;
mod revision;
mod secret;
mod shutdown;
mod signal;
mod slot;
mod store_error;
pub mod stream;
mod token;
mod trace_context;
pub mod transport;
pub mod wire;

pub use clock::{Clock, ManualClock, SystemClock};
pub use cqrs_id::{CqrsId, CqrsIdError};
pub use event::Event;
pub use instance_key::{InstanceKey, KeyError, KeyPart};
pub use queue_name::{QueueName, QueueNameError};
pub use retry::RetryPolicy;
pub use revision::Revision;
pub use secret::SecretUrl;
pub use shutdown::Shutdown;
pub use signal::{Signal, UnknownSignal};
pub use slot::{SLOTS, Slot};
pub use store_error::StoreError;
pub use token::{Token, TokenError};
pub use trace_context::{TraceContext, TraceContextError};
