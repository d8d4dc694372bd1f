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

/// How much lies in an outbox.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    /// Rows to send.
    pub rows: u64,
    /// Those of them that wait for a retry.
    pub retrying: u64,
    /// How long the oldest has been waiting.
    pub oldest: Option<Duration>,
    /// Rows in `cqrs_outbox_dead` that are neither retried nor superseded.
    pub dead: u64,
    /// Relays and leases; no heartbeat is renewed.
    pub census: Census,
}
