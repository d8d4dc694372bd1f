//! Mending what is wrong.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::{
    Event, QueueName, Revision, Signal,
    json::Object,
    reconcile::{Difference, RowMark},
    transport::{Headers, Routing},
    wire,
};
use tokio::time::Instant;

use super::{
    MasterSide, ReconcileError, ReplicaReader,
    compare::{Compared, Comparer},
    look::Suspect,
};
use crate::{ApplyPolicy, Incoming, Models, ReplicaSession, ReplicaStore};

/// How many instances are mended at a time.
const BATCH: usize = 500;

/// How often is looked whether it has helped.
const POLL: Duration = Duration::from_millis(250);

/// Has the master send again what the replica lacks or has wrongly, and deletes what it should not
/// have.
pub(super) async fn repair<S, R, M>(
    sides: &mut Comparer<'_, R, M>,
    session: &mut S::Session,
    models: &Models<S>,
    queue: &QueueName,
    wrong: &[Compared],
) -> Result<(), ReconcileError>
where
    S: ReplicaStore,
    R: ReplicaReader,
    M: MasterSide,
{
    let (extra, lacking): (Vec<_>, Vec<_>) = wrong
        .iter()
        .partition(|row| row.difference == Some(Difference::Extra));
    let (forced, plain): (Vec<_>, Vec<_>) = lacking.into_iter().partition(|row| is_ahead(row));
    for (rows, forced) in [(plain, false), (forced, true)] {
        for batch in rows.chunks(BATCH) {
            // A tombstone at the master's revision, or above it, would hold up the sync.
            let dead: Vec<_> = batch
                .iter()
                .filter(|row| row.known.as_ref().is_some_and(|known| known.deleted))
                .map(|row| row.instance_pk.clone())
                .collect();
            if !dead.is_empty() {
                sides.reader.forget_deletes(sides.table, &dead).await?;
            }
            let keys = batch.iter().map(|row| row.key.clone()).collect();
            let sent = sides.master.send_again(sides.cqrs_id, queue, keys, forced);
            sent.await.map_err(ReconcileError::Master)?;
        }
    }
    let policy = ApplyPolicy::new(queue.clone());
    for batch in extra.chunks(BATCH) {
        let deletes: Vec<_> = batch.iter().map(|row| delete(row, queue, sides)).collect();
        session.apply(models, &policy, &deletes).await?;
    }
    Ok(())
}

/// Looks at these until all are well or the time is up. Answers with those that are not.
pub(super) async fn left<R: ReplicaReader, M: MasterSide>(
    sides: &mut Comparer<'_, R, M>,
    wrong: &[Compared],
    patience: Duration,
) -> Result<Vec<Compared>, ReconcileError> {
    let deadline = Instant::now() + patience;
    let mut left: Vec<Suspect> = wrong.iter().map(suspect).collect();
    loop {
        let compared = sides.compare(left.into_iter()).await?;
        let compared: Vec<_> = compared
            .into_iter()
            .filter(|row| row.difference.is_some())
            .collect();
        if compared.is_empty() || Instant::now() >= deadline {
            return Ok(compared);
        }
        left = compared.iter().map(suspect).collect();
        tokio::time::sleep(POLL).await;
    }
}

pub(super) fn suspect(row: &Compared) -> Suspect {
    Suspect {
        instance_pk: row.instance_pk.clone(),
        key: row.key.clone(),
    }
}

/// Whether the replica knows a later revision than the master has.
fn is_ahead(row: &Compared) -> bool {
    let theirs = row.master.map_or(0, |mark: RowMark| mark.revision);
    row.known
        .as_ref()
        .is_some_and(|known| known.revision > theirs)
}

/// A delete of what the replica has, as a master that does not count revisions would send it: it leaves
/// a tombstone by time, so that the instance comes back when it is created anew, at whatever revision.
fn delete<R, M>(row: &Compared, queue: &QueueName, sides: &Comparer<'_, R, M>) -> Incoming {
    let known = row.known.as_ref();
    let event = Event {
        signal: Signal::Delete,
        cqrs_id: sides.cqrs_id.clone(),
        key: row.key.clone(),
        revision: Revision(known.map_or(0, |known| known.revision)),
        updated: known.map_or(DateTime::UNIX_EPOCH, |known| known.updated),
        data: Object::default(),
        previous: None,
        correlation_id: None,
        retries: 0,
        expires: None,
        meta: None,
    };
    let routing = Routing::Direct {
        queue: queue.clone(),
        cqrs_id: sides.cqrs_id.clone(),
    };
    Incoming {
        message_id: None,
        routing_key: routing.key(),
        body: Bytes::from(wire::encode(&event)),
        headers: Headers::default(),
        event: Some(Box::new(event)),
    }
}
