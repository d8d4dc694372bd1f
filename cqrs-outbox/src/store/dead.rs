//! Rows that were given up.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::ops::AddAssign;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{QueueName, Revision, Signal};
use uuid::Uuid;

use super::Instance;

/// How many dead rows are retried in one transaction.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const DEAD_BATCH: usize = 200;

/// A row of `cqrs_outbox_dead`.
#[derive(Debug, Clone)]
pub struct DeadRow {
    /// The id it had in the outbox.
    pub id: i64,
    /// Its identity on the broker.
    pub message_id: Uuid,
    /// Whose event it is.
    pub instance: Instance,
    /// What happened.
    pub signal: Signal,
    /// The one queue a direct sync was for.
    pub queue: Option<QueueName>,
    /// The revision.
    pub revision: Revision,
    /// The final body.
    pub body: Bytes,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When it was given up.
    pub died_at: DateTime<Utc>,
    /// How often it had failed.
    pub attempts: u32,
    /// The class of the reason, see [`DeadReason::as_str`](crate::DeadReason::as_str).
    pub reason: String,
    /// The reason in words.
    pub error: Option<String>,
    /// Whether a retry found that a later revision had been recorded.
    pub superseded: bool,
}

/// An answer of [`OutboxSession::dead_retry`](crate::OutboxSession::dead_retry).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Back in the outbox.
    pub retried: u64,
    /// Left dead, since a later revision has been recorded.
    pub superseded: u64,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl AddAssign for Retried {
    fn add_assign(&mut self, more: Self) {
        self.retried += more.retried;
        self.superseded += more.superseded;
    }
}
