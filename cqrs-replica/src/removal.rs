//! Deleting what a replica should not have.

use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::{
    CqrsId, Event, InstanceKey, QueueName, Revision, Signal,
    json::Object,
    transport::{Headers, Routing},
    wire,
};

use crate::{Incoming, reconcile::KnownState};

/// A delete of what the replica has, as a master that does not count revisions would send it: it leaves
/// a tombstone by time, so that the instance comes back when it is created anew, at whatever revision.
pub(crate) fn delete(
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
