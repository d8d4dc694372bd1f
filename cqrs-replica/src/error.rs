//! What ends a worker.

use cqrs_core::{StoreError, transport::TransportError};

use crate::InvalidConfig;

/// Why [`Worker::run`](crate::Worker::run) ended other than well. A lost connection is no reason: it
/// is made anew. Messages that were not acknowledged come again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The settings contradict each other or are out of range.
    #[error(transparent)]
    Config(#[from] InvalidConfig),

    /// The database refused the worker at its start, in a way that repeating does not help.
    #[error("the worker cannot use the database")]
    Store(#[source] StoreError),

    /// At the start: the tables do not fit the models.
    #[error("the tables do not fit the models")]
    Models(#[source] StoreError),

    /// The broker refused the worker at its start, in a way that repeating does not help.
    #[error("the worker cannot use the broker")]
    Transport(#[source] TransportError),

    /// Told to stop, the worker could not finish all it had in hand in time.
    #[error("{in_hand} messages were still in hand when the worker stopped; they will come again")]
    NotDrained {
        /// How many.
        in_hand: usize,
    },

    /// Told to stop at once.
    #[error("the worker was stopped before it had drained; {in_hand} messages will come again")]
    Stopped {
        /// How many it had in hand.
        in_hand: usize,
    },

    /// One of its tasks panicked: a defect.
    #[error("the worker's task `{task}` died")]
    TaskDied {
        /// Which.
        task: &'static str,
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },

    /// A store broke its contract: a defect.
    #[error("the store gave {answers} answers to {messages} messages")]
    Contract {
        /// How many messages it was given.
        messages: usize,
        /// How many answers came.
        answers: usize,
    },
}
