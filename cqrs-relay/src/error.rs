//! What ends a relay.

use cqrs_core::{StoreError, transport::TransportError};

use crate::RelayConfigError;

/// Why [`Relay::run`](crate::Relay::run) ended other than well. A lost connection is no reason: it
/// is made anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The settings contradict each other.
    #[error(transparent)]
    Config(#[from] RelayConfigError),

    /// The database refused the relay at its start, in a way that repeating does not help.
    #[error("the relay cannot use the database")]
    Store(#[source] StoreError),

    /// The broker refused the relay at its start, in a way that repeating does not help.
    #[error("the relay cannot use the broker")]
    Transport(#[source] TransportError),

    /// Told to stop, the relay could not settle all it had in flight in time. Nothing is lost: what
    /// was sent and not settled is sent again by the next relay.
    #[error(
        "{unsettled} rows were still in flight when the relay stopped; they will be sent again"
    )]
    NotDrained {
        /// How many.
        unsettled: usize,
    },

    /// Told to stop at once. Leases run out by themselves.
    #[error("the relay was stopped before it had drained")]
    Stopped,

    /// One of its tasks panicked or ended by itself: a defect.
    #[error("the relay's task `{task}` died")]
    TaskDied {
        /// Which.
        task: &'static str,
        /// How, unless it just ended.
        #[source]
        source: Option<tokio::task::JoinError>,
    },
}
