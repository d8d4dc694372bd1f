//! A table's instances once more to replicas, through the outbox: `cqrs-relay sync`, and those that a
//! diff has named: `cqrs-relay diff-sync`.
//!
//! Each batch is a transaction of its own: the locks of its instances' revisions, a read of their
//! rows, and a SYNC of each with its current revision. So it is in order with every live change,
//! and no more than [`SyncPlan::max_unsent`] of its rows are ever before a live change in the outbox.

mod sender;
mod window;

use std::{fmt, io, num::NonZeroU32, sync::Arc, time::Duration};

use cqrs_core::{QueueName, filter::Filter, stream::StreamQueue};
use cqrs_outbox::source::{After, SourceStore, SourceTable};
use futures_util::Stream;
use serde::Serialize;

use self::sender::Sender;
use crate::{KeyLines, Shutdown, TableError, Watch, diff::named};

/// How syncs are sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SyncPlan {
    /// To this queue only. Of a `diff-sync`, what the stream says counts.
    pub queue: Option<QueueName>,
    /// Whether replicas take them over a later revision.
    pub forced: bool,
    /// How many instances a transaction has at most. It holds the locks of their revisions.
    pub batch: usize,
    /// How many instances a second at most. `None`: as many as can be.
    pub rate: Option<NonZeroU32>,
    /// A pause after each batch.
    pub delay: Duration,
    /// How many of these rows may be in the outbox unsent.
    pub max_unsent: usize,
}

impl Default for SyncPlan {
    /// To every queue, 500 a transaction, as fast as can be, 5,000 unsent.
    fn default() -> Self {
        Self {
            queue: None,
            forced: false,
            batch: 500,
            rate: None,
            delay: Duration::ZERO,
            max_unsent: 5_000,
        }
    }
}

/// What a sync has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncDone {
    /// Instances recorded.
    pub synced: u64,
    /// Rows that could not be recorded.
    pub failed: u64,
    /// Instances that are not there any more, or not for replicas.
    pub gone: u64,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
    /// The place to go on, if it was stopped, as the key's JSON.
    pub after: Option<String>,
}

impl fmt::Display for SyncDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.synced == 1 { "" } else { "s" };
        write!(
            f,
            "{} instance{s} recorded for the relay to send",
            self.synced
        )?;
        for (count, what) in [
            (self.failed, "failed"),
            (self.gone, "not there, or not for replicas"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Sends the instances that meet the filter, in the order of their keys.
///
/// The soft stop ends it after the batch at hand. Lost connections are made anew; an instance is
/// then perhaps sent twice, which changes nothing.
///
/// # Errors
/// See [`TableError`]. What was recorded stays; the watch has heard up to where.
///
/// # Cancel safety
/// The batch at hand is recorded or not; the others are.
pub async fn sync<S: SourceStore>(
    store: &S,
    table: &Arc<SourceTable<S::Row>>,
    filter: &Filter,
    after: Option<After>,
    plan: &SyncPlan,
    watch: &mut impl Watch,
    shutdown: &Shutdown,
) -> Result<SyncDone, TableError> {
    let mut sender = Sender::new(store, table, plan.clone(), watch, shutdown);
    sender.expect(filter).await?;
    let mut place = after;
    let mut stopped = false;
    loop {
        let page = sender.keys(filter, place.as_ref()).await?;
        let last = page.keys.last().map(After::key);
        for row in &page.failed {
            sender.failed(row);
        }
        if !sender.send(page.keys).await? {
            stopped = true;
            break;
        }
        let Some(next) = page.next else {
            if let Some(Ok(last)) = last {
                sender.passed(&last);
            }
            break;
        };
        sender.passed(&next);
        place = Some(next);
        if shutdown.drain.is_cancelled() {
            stopped = true;
            break;
        }
    }
    let mut done = sender.end().await?;
    done.stopped = stopped;
    done.after = stopped
        .then(|| place.map(|place| place.to_string()))
        .flatten();
    Ok(done)
}

/// Sends the instances that a replica's diff has named, to the queue that it names.
///
/// # Errors
/// As [`sync`].
///
/// # Cancel safety
/// As [`sync`].
pub async fn diff_sync<S: SourceStore>(
    store: &S,
    table: &Arc<SourceTable<S::Row>>,
    plan: &SyncPlan,
    input: &mut KeyLines<impl Stream<Item = io::Result<String>> + Unpin + Send>,
    watch: &mut impl Watch,
    shutdown: &Shutdown,
) -> Result<SyncDone, TableError> {
    input.expect(table.source().cqrs_id())?;
    let mut plan = plan.clone();
    plan.queue = match &input.header().queue {
        StreamQueue::One(queue) => Some(queue.clone()),
        StreamQueue::Every => None,
        StreamQueue::Unsaid => plan.queue,
    };
    let batch = plan.batch.max(1);
    let mut sender = Sender::new(store, table, plan, watch, shutdown);
    let mut stopped = false;
    'lines: loop {
        let keys = tokio::select! {
            keys = input.next() => keys?,
            () = shutdown.drain.cancelled() => {
                stopped = true;
                break;
            }
        };
        let Some(keys) = keys else {
            break;
        };
        for asked in keys.chunks(batch) {
            let found = sender.find(asked).await?;
            let mut present = Vec::with_capacity(found.len());
            let mut gone = Vec::new();
            for (asked, found) in asked.iter().zip(found) {
                match found {
                    Some(key) => present.push(key),
                    None => gone.push(asked.clone()),
                }
            }
            if !gone.is_empty() {
                sender.gone(gone.len() as u64, &named("not on the master", &gone));
            }
            if !sender.send(present).await? || shutdown.drain.is_cancelled() {
                stopped = true;
                break 'lines;
            }
        }
    }
    let mut done = sender.end().await?;
    done.stopped = stopped;
    Ok(done)
}
