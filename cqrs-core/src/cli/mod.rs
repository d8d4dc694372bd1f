//! What the command lines of `cqrs-relay` and `cqrs-replica` have in common.
//!
//! Made for these two; it changes with them.

pub mod broker;
#[cfg(feature = "embedded")]
mod embedded;
mod logging;
mod options;
pub mod output;
mod program;
mod progress;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
pub mod settings;
mod signals;

pub use options::{LogFormat, Options};
pub use program::run;
pub use progress::{Progress, ProgressArgs};
#[cfg(unix)]
pub use signals::Hangups;
pub use signals::{Signals, unless_stopped};
