//! What a backend is asked to write, and what it answers.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
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
    pub life: Life,
    /// Whether this is the entry of its instance that takes the lock: exactly one is, the one for
    /// everyone if there is one.
    pub leads: bool,
    /// What it does to the instance's revision.
    pub effect: Effect,
}

/// How long an event is worth sending.
#[derive(Debug, Clone, Copy)]
pub enum Life {
    /// For ever.
    Endless,
    /// This long from when it is recorded.
    In(Duration),
    /// Until then: that of an event that this transaction has recorded before.
    Until(DateTime<Utc>),
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

    /// When the event loses its worth if it is recorded now: never before it was to.
    pub fn expires_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.life {
            Life::Endless => None,
            Life::In(_) => self
                .ttl_micros()
                .map(|ttl| ceil_to_second(now + TimeDelta::microseconds(ttl))),
            Life::Until(time) => Some(time),
        }
    }

    /// The time to live in microseconds; a [`crate::Change`] has checked that it is in range.
    pub fn ttl_micros(&self) -> Option<i64> {
        match self.life {
            Life::In(ttl) => Some(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)),
            Life::Endless | Life::Until(_) => None,
        }
    }
}

/// A row of the outbox that this transaction has written.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its id.
    pub id: i64,
    /// Its event's identity.
    pub message_id: Uuid,
}

/// An event that this transaction has recorded before, of a revision that it raised.
#[derive(Debug)]
pub struct Earlier {
    /// Its row.
    pub place: Place,
    /// The model.
    pub cqrs_id: String,
    /// The canonical key.
    pub instance_pk: String,
    /// The revision.
    pub revision: Revision,
    /// What happened.
    pub signal: Signal,
    /// The one queue a direct sync is for.
    pub queue: Option<QueueName>,
    /// The whole body.
    pub body: Vec<u8>,
    /// The trace of the change.
    pub trace: Option<TraceContext>,
    /// Whether it is to be applied even where a later revision is known.
    pub forced: bool,
    /// When it loses its worth.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether its revision began a life of the instance: before this transaction there was none.
    pub began: bool,
}

/// What becomes of an instance whose revision this transaction has raised before.
#[derive(Debug)]
pub struct Restated<'i> {
    /// The model.
    pub cqrs_id: &'i str,
    /// The canonical key.
    pub instance_pk: &'i str,
    /// Whether it is deleted after all.
    pub deleted: bool,
    /// Whether nothing has happened after all: the revision is taken back.
    pub undone: bool,
}

/// What an instance says once it is restated.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Its time.
    pub updated: DateTime<Utc>,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// An event of such an instance, to be stamped and written.
#[derive(Debug, Clone, Copy)]
pub struct Unstamped<'e> {
    /// The place of its instance among those restated.
    pub instance: usize,
    /// The row it takes the place of.
    pub id: Option<i64>,
    /// The event.
    pub entry: &'e Entry,
    /// Its revision.
    pub revision: Revision,
}

impl<'e> Unstamped<'e> {
    /// The row, once the instances are restated.
    pub fn stamped(&self, stamps: &[Stamp]) -> NewRow<'e> {
        let stamp = stamps[self.instance];
        let expires_at = self.entry.expires_at(stamp.now);
        NewRow {
            id: self.id,
            entry: self.entry,
            revision: self.revision,
            body: self
                .entry
                .body
                .splice(self.revision, stamp.updated, expires_at),
            expires_at,
        }
    }
}

/// A row that is written for an event of such an instance.
#[derive(Debug)]
pub struct NewRow<'e> {
    /// The row it takes the place of.
    pub id: Option<i64>,
    /// The event.
    pub entry: &'e Entry,
    /// Its revision.
    pub revision: Revision,
    /// The whole body.
    pub body: String,
    /// When it loses its worth.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a first try to write entries came to.
#[derive(Debug, Default)]
pub struct Answer {
    /// Entries that were written.
    pub written: Vec<Written>,
    /// Leading entries that were not, nor those they lead: this transaction has raised their
    /// instance's revision before.
    pub again: Vec<Uuid>,
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

/// Never less than was asked for.
fn ceil_to_second(time: DateTime<Utc>) -> DateTime<Utc> {
    let second = TimeDelta::seconds(1);
    let floor = time.duration_trunc(second).unwrap_or(time);
    if floor == time { time } else { floor + second }
}
