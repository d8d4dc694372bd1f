//! SQLite's errors by what the caller can do about them.

use std::error::Error;

use crate::transport::TransportError;

/// What we find wrong ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// An earlier call was cancelled or failed.
    #[error("the connection was left in an unknown state by a cancelled or failed call")]
    Spent,
    /// A peer has taken over this consumer's messages.
    #[error("the consumer's lease ran out before it was renewed")]
    LeaseLost,
    /// The subscriber's task has ended.
    #[error("the subscriber has ended")]
    Ended,
    /// The URL cannot be used.
    #[error("expected the scheme `embedded` and a path")]
    Url,
    /// The file is not ours, or not of this version.
    #[error("unexpected application_id or user_version")]
    Identity,
    /// The file system has no shared memory.
    #[error("the journal mode could not be set to WAL")]
    NoWal,
}

impl From<Fault> for TransportError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.into())
    }
}

pub(super) fn misconfigured(
    problem: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> TransportError {
    TransportError::Misconfigured {
        problem: problem.into(),
        source: source.into(),
    }
}

/// The primary result code (<https://www.sqlite.org/rescode.html>), the low byte of the extended one.
fn code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

/// BUSY, LOCKED: another process is writing.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(5 | 6))
}

/// The same, classified.
pub(super) fn was_busy(error: &TransportError) -> bool {
    matches!(error, TransportError::Unavailable(source)
        if source.downcast_ref::<sqlx::Error>().is_some_and(is_busy))
}

/// Any error of the driver.
pub(super) fn classify(error: sqlx::Error) -> TransportError {
    let remedy = match code(&error) {
        // CORRUPT, NOTADB
        Some(11 | 26) => "it is damaged or no SQLite database: name another file",
        // PERM, READONLY, CANTOPEN, AUTH
        Some(3 | 8 | 14 | 23) => {
            "its directory must exist, and this program must be able to write there"
        }
        // Busy for too long, a full disk, an I/O error: they may pass.
        _ => return TransportError::Unavailable(error.into()),
    };
    misconfigured(format!("the broker's file cannot be used: {remedy}"), error)
}
