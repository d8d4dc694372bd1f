//! Rows of the outbox.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{CqrsId, QueueName, Revision, Signal, Slot, TraceContext};
use uuid::Uuid;

use super::Census;

/// An instance as tables know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// The model.
    pub cqrs_id: CqrsId,
    /// The canonical key.
    pub instance_pk: String,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Backlog {
    /// Rows to send, as counted up to one more than the most.
    pub(crate) fn of(counted: i64) -> Self {
        let (counted, most) = (counted.unsigned_abs(), u64::from(MOST_COUNTED));
        Self {
            rows: counted.min(most),
            counted: if counted > most {
                Counted::AtLeast
            } else {
                Counted::Exactly
            },
            ..Self::default()
        }
    }
}

/// An answer of [`OutboxSession::due`](crate::OutboxSession::due).
#[derive(Debug, Clone, Default)]
pub struct Due {
    /// The rows.
    pub rows: Vec<OutboxRow>,
    /// How long until the next one is due.
    pub next: Option<Duration>,
}

/// An event that waits to be sent.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// Its place in the order.
    pub id: i64,
    /// Its identity on the broker.
    pub message_id: Uuid,
    /// Its share.
    pub slot: Slot,
    /// Whose event it is.
    pub instance: Instance,
    /// What happened.
    pub signal: Signal,
    /// The one queue a direct sync is for.
    pub queue: Option<QueueName>,
    /// The revision.
    pub revision: Revision,
    /// The final body.
    pub body: Bytes,
    /// The trace of the change.
    pub trace: Option<TraceContext>,
    /// Whether a sync is to be applied even where a later revision is known.
    pub forced: bool,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// Whether its time to live had run out, on the database's clock.
    pub expired: bool,
    /// How often sending it has failed through its own fault.
    pub attempts: u32,
}

/// Names a row so that no other is hit by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowRef {
    /// Its id.
    pub id: i64,
    /// Its message id.
    pub message_id: Uuid,
}

/// How many rows [`Backlog`] counts of each kind, at most.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const MOST_COUNTED: u32 = 100_000;

/// How far a number can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// All were counted.
    #[default]
    Exactly,
    /// There are more.
    AtLeast,
    /// What the server's statistics say, since counting took too long.
    About,
}

/// The size of an outbox's backlog.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    /// Rows to send. No more than 100,000 are counted.
    pub rows: u64,
    /// How far `rows` can be relied on.
    pub counted: Counted,
    /// Those of them that wait for a retry, counted up to 100,001.
    pub retrying: u64,
    /// How long the oldest has been waiting, if it was looked at.
    pub oldest: Option<Duration>,
    /// Rows in `cqrs_outbox_dead` that are neither retried nor superseded, counted up to 100,001.
    pub dead: u64,
    /// Relays and leases; no heartbeat is renewed.
    pub census: Census,
}
