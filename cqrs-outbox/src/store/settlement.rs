//! What became of rows.

use std::time::Duration;

use cqrs_core::Slot;

use super::RowRef;

/// What became of rows.
#[derive(Debug, Clone, Default)]
pub struct Settlement {
    /// Confirmed by the broker: deleted.
    pub confirmed: Vec<RowRef>,
    /// Failed through their own fault: try again later.
    pub postponed: Vec<Postponed>,
    /// Failed for good: moved to `cqrs_outbox_dead`.
    pub dead: Vec<Buried>,
    /// Past their time to live: dropped where a later revision of the instance has been recorded,
    /// otherwise moved to `cqrs_outbox_dead` as expired.
    pub expired: Vec<RowRef>,
}

impl Settlement {
    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.confirmed.is_empty()
            && self.postponed.is_empty()
            && self.dead.is_empty()
            && self.expired.is_empty()
    }
}

/// A row to try again.
#[derive(Debug, Clone)]
pub struct Postponed {
    /// Which.
    pub row: RowRef,
    /// How often it has failed now.
    pub attempts: u32,
    /// How long to wait, on the database's clock.
    pub delay: Duration,
    /// Why it failed.
    pub error: String,
}

/// A row that will not be tried again by itself.
#[derive(Debug, Clone)]
pub struct Buried {
    /// Which.
    pub row: RowRef,
    /// The class of the reason.
    pub reason: DeadReason,
    /// The reason in words.
    pub error: String,
    /// How often it has failed now.
    pub attempts: u32,
}

/// Why a row is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// All attempts failed.
    Failed,
    /// Its time to live ran out before it could be sent.
    Expired,
    /// A direct sync to a queue that does not exist.
    NoQueue,
    /// A value of it cannot be read: it was written past `record`.
    Unreadable,
}

impl DeadReason {
    /// The word used in tables and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::NoQueue => "no_queue",
            Self::Unreadable => "unreadable",
        }
    }
}

/// An answer of [`OutboxSession::settle`](crate::OutboxSession::settle): how many rows were there to be settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Confirmed and deleted.
    pub confirmed: u64,
    /// Put off.
    pub postponed: u64,
    /// Moved to `cqrs_outbox_dead`, expired ones included.
    pub dead: u64,
    /// Expired and dropped, since a later revision exists.
    pub superseded: u64,
    /// The slots that someone else has taken over.
    pub lost: Vec<Slot>,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Postponed {
    /// Rows that wait have failed at least once, say the tables.
    pub(crate) fn failures(&self) -> u32 {
        self.attempts.max(1)
    }

    /// A year at most, which every database can add to its clock.
    pub(crate) fn wait(&self) -> Duration {
        self.delay.min(Duration::from_hours(365 * 24))
    }
}

/// An error in a form and length that every database can keep: a settlement must not fail for the
/// words of a failure.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn kept_error(text: &str) -> String {
    const MOST: usize = 2_000;
    text.chars()
        .take(MOST)
        .map(|c| {
            if c == '\0' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}
