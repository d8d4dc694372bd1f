//! Deleting what a replica should not have.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::{
    CqrsId, Event, InstanceKey, QueueName, Revision, Signal, StoreError,
    json::Object,
    transport::{Headers, Routing},
    wire,
};

use crate::{
    Applied, ApplyPolicy, Incoming, Models, ReplicaSession,
    reconcile::{KnownState, ReconcileTable, ReplicaReader},
};

/// Deletes rows of a table, in one transaction, with what is known of each. A row that has come back by
/// hand behind its tombstone is deleted too.
pub(crate) async fn remove<R: ReplicaReader, S: ReplicaSession>(
    reader: &mut R,
    session: &mut S,
    models: &Models<S::Store>,
    table: &ReconcileTable,
    rows: Vec<(InstanceKey, Option<KnownState>)>,
) -> Result<Vec<Applied>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let tombstones: Vec<_> = rows
        .iter()
        .filter_map(|(_, known)| known.as_ref())
        .filter(|known| known.deleted)
        .map(|known| known.instance_pk.clone())
        .collect();
    if !tombstones.is_empty() {
        reader.undo_deletes(table, &tombstones).await?;
    }
    let policy = ApplyPolicy {
        // What has changed since it was looked at stays, however recently.
        clock_tolerance: Duration::ZERO,
        ..ApplyPolicy::new(table.queue.clone())
    };
    let deletes: Vec<_> = rows
        .into_iter()
        .map(|(key, known)| delete(&table.cqrs_id, key, &table.queue, known.as_ref()))
        .collect();
    session.apply(models, &policy, &deletes).await
}

/// A delete of what the replica has, as a master that does not count revisions would send it: it leaves
/// a tombstone by time, so that the instance comes back when it is created anew, at whatever revision.
fn delete(
    cqrs_id: &CqrsId,
    key: InstanceKey,
    queue: &QueueName,
    known: Option<&KnownState>,
) -> Incoming {
    let event = Event {
        signal: Signal::Delete,
        cqrs_id: cqrs_id.clone(),
        key,
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
        cqrs_id: cqrs_id.clone(),
    };
    Incoming {
        message_id: None,
        routing_key: routing.key(),
        body: Bytes::from(wire::encode(&event)),
        headers: Headers::default(),
        event: Some(Box::new(event)),
    }
}
