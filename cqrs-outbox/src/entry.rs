//! What a backend is asked to write, and what it answers.

use std::time::Duration;

use cqrs_core::{CqrsId, QueueName, Revision, Signal, Slot, TraceContext, wire::BodyTemplate};
use uuid::Uuid;

/// One event, ready but for what is known only under the lock of its instance's revision.
#[derive(Debug)]
pub struct Entry {
    /// The event's identity.
    pub message_id: Uuid,
    /// The model.
    pub cqrs_id: CqrsId,
    /// The canonical key.
    pub instance_pk: String,
    /// What happened.
    pub signal: Signal,
    /// The one queue a direct sync is for.
    pub queue: Option<QueueName>,
    /// The body without revision, time and expiry.
    pub body: BodyTemplate,
    /// The trace of the change.
    pub trace: Option<TraceContext>,
    /// How long the event is worth sending.
    pub ttl: Option<Duration>,
    /// Whether this is the entry of its instance that takes the lock: exactly one is, the one for
    /// everyone if there is one.
    pub leads: bool,
    /// What it does to the instance's revision.
    pub effect: Effect,
}

/// What an entry does to its instance's revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Raises it.
    Raise,
    /// Raises it if the instance is live, and is nothing otherwise: a change that was filtered out.
    RaiseIfLive,
    /// Carries it as it is, unless the instance is marked deleted: a sync.
    Carry {
        /// Whether it is to be applied even where a later revision is known.
        forced: bool,
    },
}

impl Entry {
    /// Whether the revision is raised, of an instance that is live.
    pub fn raises(&self) -> bool {
        !matches!(self.effect, Effect::Carry { .. })
    }

    /// Whether nothing is written unless the instance is live.
    pub fn only_live(&self) -> bool {
        self.effect == Effect::RaiseIfLive
    }

    /// Whether it is to be applied even where a later revision is known.
    pub fn forced(&self) -> bool {
        self.effect == Effect::Carry { forced: true }
    }

    /// The instance's share.
    pub fn slot(&self) -> Slot {
        Slot::of(self.cqrs_id.as_str(), &self.instance_pk)
    }

    /// The one queue's name.
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_ref().map(QueueName::as_str)
    }

    /// The trace's header.
    pub fn traceparent(&self) -> Option<&str> {
        self.trace.as_ref().map(TraceContext::as_str)
    }

    /// The time to live in microseconds; a [`crate::Change`] has checked that it is in range.
    pub fn ttl_micros(&self) -> Option<i64> {
        self.ttl
            .map(|ttl| i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX))
    }
}

/// An entry that was written.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Its place in the outbox.
    pub id: i64,
    /// Which entry.
    pub message_id: Uuid,
    /// The revision it got.
    pub revision: Revision,
}
