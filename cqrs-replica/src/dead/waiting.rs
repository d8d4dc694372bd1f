//! What became of letters that are tried again.

use std::{fmt, time::Duration};

use cqrs_core::{QueueName, StoreError};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Which, ids};
use crate::{LetterFilter, LetterState, ReplicaSession, ReplicaStore};

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(100);

/// What became of letters that were queued for another attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retried {
    /// How many were queued.
    pub queued: u64,
    /// Were applied.
    pub applied: u64,
    /// Are of no use any more: a newer state had been applied.
    pub superseded: u64,
    /// Failed again: dead, or tried again later.
    pub failed: u64,
    /// Wait for another row or revision.
    pub waiting: u64,
    /// Have not been tried yet.
    pub pending: u64,
}

impl fmt::Display for Retried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} applied, {} failed again", self.applied, self.failed)?;
        for (count, what) in [
            (self.superseded, "superseded by a newer state"),
            (self.waiting, "waiting for another row or revision"),
            (self.pending, "not tried yet"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Queues letters as [`retry`](super::retry) does, and waits until each has been tried, for no longer than this.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: they may have been queued.
pub async fn retry_and_wait<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
    limit: Duration,
) -> Result<Retried, StoreError> {
    let until = Instant::now() + limit;
    let all = Which::Matching(LetterFilter::default());
    let which = if *which == Which::All { &all } else { which };
    let ids = ids(store, queue, which).await?.unwrap_or_default();
    let mut session = store.session().await?;
    let queued = session.letter_retry(queue, Some(&ids)).await?;
    let filter = LetterFilter::default();
    let retried = loop {
        let mut retried = Retried {
            queued,
            ..Retried::default()
        };
        let mut open = 0;
        for group in session.letter_groups(queue, &filter, Some(&ids)).await? {
            let counted = match group.state {
                LetterState::Resolved => continue,
                LetterState::Superseded => &mut retried.superseded,
                LetterState::Waiting => &mut retried.waiting,
                LetterState::Dead | LetterState::Retrying | LetterState::Discarded => {
                    retried.pending += group.untried;
                    open += group.untried;
                    &mut retried.failed
                }
            };
            *counted += group.count - group.untried;
            open += group.count - group.untried;
        }
        // What was applied is resolved, or no letter any more.
        retried.applied = queued.saturating_sub(open);
        if retried.pending == 0 || Instant::now() >= until {
            break retried;
        }
        sleep(INTERVAL).await;
    };
    session.close().await;
    Ok(retried)
}
