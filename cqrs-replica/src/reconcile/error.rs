//! Why reconciling could not go on.

use cqrs_core::{StoreError, transport::TransportError};

use super::MasterFault;

/// Why reconciling could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The replica's database.
    #[error("the replica's database")]
    Replica(#[from] StoreError),
    /// The master does not answer, or does not have the model.
    #[error("the master")]
    Master(#[source] MasterFault),
    /// The broker does not say whether the queue is empty.
    #[error("the broker")]
    Broker(#[source] TransportError),
    /// The model cannot be compared.
    #[error("model {cqrs_id}: {problem}")]
    Model {
        /// Which.
        cqrs_id: String,
        /// Why, and the remedy.
        problem: String,
    },
}
