//! What can go wrong between us and a database, by what the caller can do about it.

use std::error::Error;

/// A failure of a store. The stores of all databases map their drivers' errors to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached, or the connection broke or timed out: nobody's fault but
    /// the connection's. Drop it, connect again with backoff. Whether the last statement took
    /// effect is unknown.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),

    /// Deadlock, serialization failure or lock timeout: the statement had no effect; run it again.
    #[error("another transaction was in the way")]
    Conflict(#[source] Box<dyn Error + Send + Sync>),

    /// The tables are not those this program knows.
    #[error("{problem}")]
    Schema {
        /// What was found, and the remedy.
        problem: String,
        /// The driver's error, where there is one.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },

    /// A stored value that we never write.
    #[error("{table}.{column} holds a value that cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Why it cannot be read.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },

    /// Bad login, unknown database, unreadable file, refused TLS: repeating does not help before
    /// the configuration changes.
    #[error("{problem}")]
    Misconfigured {
        /// What is wrong, and the remedy.
        problem: String,
        /// The driver's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },

    /// The database refused the statement for a reason of its own.
    #[error("the database refused the statement")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Whether the same call may succeed later without anyone's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict(_))
    }
}
