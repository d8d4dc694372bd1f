//! Why a bus has no result.

use std::{error::Error, time::Duration};

use uuid::Uuid;

use super::{Failure, Rejection, Violations};
use crate::StoreError;

/// Why a command was not executed, or a query not answered. `E` is the handler's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError<E: Rejection> {
    /// It is wrong by itself; the handler did not see it.
    #[error("{name} is not valid: {violations}")]
    Invalid {
        /// The command or query.
        name: &'static str,
        /// All that is wrong with it.
        violations: Violations,
    },

    /// The handler refused. Nothing was changed, and the id is free: the same command may be sent again
    /// with it and is judged anew.
    #[error(transparent)]
    Rejected(E),

    /// Another command was executed with this id before.
    #[error(
        "the id {id} belongs to another command ({name}) that was executed with it: take a new id for \
         each command, and the same one only to repeat it"
    )]
    IdReused {
        /// The id.
        id: Uuid,
        /// The name of the command that has it.
        name: String,
    },

    /// It took too long. A command whose commit was on its way may have taken effect: send it again with
    /// the same id.
    #[error("{name} was not done within {limit:?}")]
    Deadline {
        /// The command or query.
        name: &'static str,
        /// The time it had.
        limit: Duration,
    },

    /// The handler panicked. Nothing was changed.
    #[error("the handler of {name} panicked: {message}")]
    Panicked {
        /// The command or query.
        name: &'static str,
        /// What it said.
        message: String,
    },

    /// The database failed; [`StoreError::Conflict`] only after several attempts. After
    /// [`StoreError::Unavailable`] a command may have taken effect: send it again with the same id.
    #[error(transparent)]
    Store(StoreError),

    /// The program is at fault, or something that the handler needs.
    #[error("the handler of {name} failed")]
    Failed {
        /// The command or query.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl<E: Rejection> BusError<E> {
    /// Its label in spans and metrics.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::Rejected(_) => "rejected",
            Self::IdReused { .. } => "id_reused",
            Self::Deadline { .. } => "deadline",
            Self::Panicked { .. } => "panicked",
            Self::Store(_) => "store",
            Self::Failed { .. } => "failed",
        }
    }

    /// What the caller cannot cure.
    pub(super) const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Deadline { .. } | Self::Panicked { .. } | Self::Store(_) | Self::Failed { .. }
        )
    }

    pub(super) fn of(name: &'static str, failure: Failure<E>) -> Self {
        match failure {
            Failure::Rejected(error) => Self::Rejected(error),
            Failure::Store(error) => Self::Store(error),
            Failure::Other(source) => Self::Failed { name, source },
        }
    }

    pub(super) fn panicked(name: &'static str, payload: &(dyn std::any::Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a message".to_owned());
        Self::Panicked { name, message }
    }
}
