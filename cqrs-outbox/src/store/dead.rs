//! Rows that were given up.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::ops::AddAssign;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::Revision;

/// How many dead rows are retried in one transaction.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const DEAD_BATCH: usize = 200;

/// A row of `cqrs_outbox_dead`. Names are as they stand there: they may be the reason.
#[derive(Debug, Clone)]
pub struct DeadRow {
    /// Its id among the dead rows.
    pub id: i64,
    /// The id it had in the outbox.
    pub outbox_id: i64,
    /// Its identity on the broker.
    pub message_id: String,
    /// The model.
    pub cqrs_id: String,
    /// The canonical key.
    pub instance_pk: String,
    /// What happened.
    pub signal: String,
    /// The one queue a direct sync was for.
    pub queue: Option<String>,
    /// The revision.
    pub revision: Revision,
    /// The final body.
    pub body: Bytes,
    /// When it was recorded, if that is a time.
    pub created_at: Option<DateTime<Utc>>,
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
