//! What can go wrong with a broker, by what the caller can do about it.

use std::error::Error;

use crate::QueueName;

/// A failure of a connection to a broker. None is the fault of a message.
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
