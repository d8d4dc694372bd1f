//! What can go wrong with a record.

use std::error::Error;

use cqrs_core::{CqrsIdError, InstanceKey, KeyError, QueueNameError, StoreError, wire::MAX_BODY};
use uuid::Uuid;

/// Why nothing was recorded. The caller's transaction has to be rolled back, unless it is
/// [`RecordError::Invalid`], which is found before anything is written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The change cannot be sent as it is: a mistake in the calling program.
    #[error("cannot record {cqrs_id} {instance_pk}")]
    Invalid {
        /// The model.
        cqrs_id: String,
        /// The instance's canonical key.
        instance_pk: String,
        /// What is wrong with the change.
        #[source]
        problem: Problem,
    },

    /// The change cannot be sent together with what this transaction has recorded of its instance
    /// before. Other changes of the same call may be written.
    #[error(
        "cannot record {cqrs_id} {instance_pk} together with its earlier changes in this transaction"
    )]
    Together {
        /// The model.
        cqrs_id: String,
        /// The instance's canonical key.
        instance_pk: String,
        /// What is wrong with them together.
        #[source]
        problem: Problem,
    },

    /// The connection is not inside a transaction, so the event would exist whatever becomes of
    /// the change. On `SQLite` also when the database itself has ended the transaction, as it does
    /// when the disk is full.
    #[error(
        "the connection is not inside a transaction: begin one, make the change and record it \
         there, then commit"
    )]
    NotInTransaction,

    /// The caller's own read in [`record_current`](crate::record_current) failed.
    #[error("the state to record could not be read")]
    Read(#[source] Box<dyn Error + Send + Sync>),

    /// The rows of a [`bulk_create`](crate::bulk_create) or [`bulk_update`](crate::bulk_update)
    /// were not written, as when one is there already.
    #[error("the rows of table {table:?} could not be written")]
    Table {
        /// The table.
        table: &'static str,
        /// What the database said.
        #[source]
        source: StoreError,
    },

    /// A [`bulk_create`](crate::bulk_create) or [`bulk_update`](crate::bulk_update) wrote other rows
    /// than those it was given.
    #[error(
        "{written} rows of table {table:?} were written instead of {given}: the others are not \
         there, or a trigger keeps them out"
    )]
    Rows {
        /// The table.
        table: &'static str,
        /// How many rows were given.
        given: usize,
        /// How many were written.
        written: u64,
    },

    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl RecordError {
    /// Whether the whole transaction may succeed if it is run again.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) | Self::Table { source: error, .. } => error.is_transient(),
            Self::Invalid { .. }
            | Self::Together { .. }
            | Self::NotInTransaction
            | Self::Read(_)
            | Self::Rows { .. } => false,
        }
    }

    /// What is found out only once something is written.
    pub(crate) fn together(self) -> Self {
        match self {
            Self::Invalid {
                cqrs_id,
                instance_pk,
                problem,
            } => Self::Together {
                cqrs_id,
                instance_pk,
                problem,
            },
            other => other,
        }
    }

    pub(crate) fn invalid(cqrs_id: &str, instance_pk: &str, problem: impl Into<Problem>) -> Self {
        let problem = problem.into();
        Self::Invalid {
            cqrs_id: shown(cqrs_id),
            instance_pk: shown(instance_pk),
            problem,
        }
    }
}

impl From<StoreError> for RecordError {
    /// A missing table is the caller's first mistake, so its message says what to do.
    fn from(error: StoreError) -> Self {
        Self::Store(match error {
            StoreError::Schema { problem, source } => StoreError::Schema {
                problem: format!(
                    "{problem}: run `cqrs-relay migrate` or call `cqrs_outbox::migrate` first"
                ),
                source,
            },
            other => other,
        })
    }
}

/// Enough of a name to find it by, however long it is.
fn shown(name: &str) -> String {
    name.chars().take(InstanceKey::MAX_LEN).collect()
}

/// What is wrong with a change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No model can be called that.
    #[error(transparent)]
    CqrsId(#[from] CqrsIdError),
    /// No instance can have this key.
    #[error("its key is unusable")]
    Key(#[from] KeyError),
    /// Something that does not serialise.
    #[error("its {field} cannot be written as JSON")]
    NotJson {
        /// What: `data`, `previous`, `meta`, `correlation_id`, `custom` or `row`.
        field: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Data that serialises to something else than a JSON object.
    #[error("its {field} must be written as a JSON object, as structs and maps are")]
    NotAnObject {
        /// What: `data`, `previous` or `row`.
        field: &'static str,
    },
    /// A row that has no value for a column which others of the same call have, or which is of the
    /// key.
    #[error(
        "its row has no value for column {column:?}: every row of a call needs the same columns"
    )]
    NoColumn {
        /// The column.
        column: String,
    },
    /// A row that has a value for a column which others of the same call have not.
    #[error("its row has a column {column:?} more: every row of a call needs the same columns")]
    OtherColumn {
        /// The column.
        column: String,
    },
    /// A value of a column of [`Table::BYTES`](crate::Table::BYTES) that is something else.
    #[error("its value for column {column:?} is neither base64 text nor null: see `Table::BYTES`")]
    NotBytes {
        /// The column.
        column: String,
    },
    /// An integer that `SQLite` would round.
    #[error(
        "its value for column {column:?} is beyond 64 bits, which SQLite rounds: make it a string"
    )]
    TooWide {
        /// The column.
        column: String,
    },
    /// An instance twice among the rows of one statement.
    #[error("it is given twice, and a statement writes a row once")]
    Twice,
    /// An event with the message id of another one of the same call.
    #[error("its message id {id} is that of another event of the call: each event needs its own")]
    SameMessageId {
        /// The id.
        id: Uuid,
    },
    /// A member that the framework writes itself.
    #[error("its data has a member `{member}`, which is reserved")]
    Reserved {
        /// Its name.
        member: &'static str,
    },
    /// Data that no message carries.
    #[error("its body would be {len} bytes long, the limit is {MAX_BODY}")]
    TooLong {
        /// The length of the body.
        len: usize,
    },
    /// A time to live of nothing, or of more than a century.
    #[error("its time to live must be between a microsecond and 100 years")]
    TimeToLive,
    /// No queue can be called that.
    #[error(transparent)]
    Queue(#[from] QueueNameError),
    /// A save or delete to one queue: the other replicas would never see that revision.
    #[error("only a sync can be sent to one queue")]
    QueueWithoutSync,
    /// A save or delete that is to be forced: its revision is new in any case.
    #[error("only a sync can be forced")]
    ForcedWithoutSync,
    /// Custom data of something that is not a delete.
    #[error("only a delete carries custom data")]
    CustomWithoutDelete,
    /// The state before, or the state read again, is that of something else.
    #[error("its {field} is of another instance: {cqrs_id} {instance_pk}")]
    OtherInstance {
        /// What: `previous` or `state`.
        field: &'static str,
        /// The other model.
        cqrs_id: String,
        /// The other key.
        instance_pk: String,
    },
}
