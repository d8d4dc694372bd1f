//! What can go wrong with a broker, by what the caller can do about it.

use std::error::Error;

use super::Outcome;
use crate::QueueName;

/// A failure of a connection to a broker. None is the fault of a message: see [`Outcome`] for those.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The connection was lost, could not be made, or no longer answers: connect again with
    /// backoff.
    #[error("the broker is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),

    /// The subscriber's queue was deleted: subscribe again, which declares it anew. What was in it
    /// is lost.
    #[error("the queue {queue} is gone")]
    QueueGone {
        /// The queue.
        queue: QueueName,
    },

    /// Bad login, a virtual host that does not exist, an exchange or queue declared differently, a
    /// refused certificate: repeating does not help before the configuration changes.
    #[error("{problem}")]
    Misconfigured {
        /// What is wrong, and the remedy.
        problem: String,
        /// The driver's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A connection that was lost before the broker's word on all messages of a call had come.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost while messages were sent")]
pub struct PublishError {
    /// What is known of each message, in the order given. `None`, or a place that is missing: it may
    /// or may not have arrived.
    pub outcomes: Vec<Option<Outcome>>,
    /// How the connection was lost.
    #[source]
    pub error: TransportError,
}

/// Nothing is known of any message.
impl From<TransportError> for PublishError {
    fn from(error: TransportError) -> Self {
        Self {
            outcomes: Vec::new(),
            error,
        }
    }
}

impl From<PublishError> for TransportError {
    fn from(error: PublishError) -> Self {
        error.error
    }
}
