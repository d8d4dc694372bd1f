//! What a relay holds in memory, and what it has under way.

use crate::table::{Census, Row, Tables};

/// How long a relay may write after it has sent a heartbeat, in ticks; shorter than a lease.
pub(crate) const WRITE_TIME: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Relay {
    pub(crate) killed: bool,
    pub(crate) beating: Beating,
    /// The epoch under which it believes to hold the slot.
    pub(crate) held: Option<u8>,
    /// Ticks for which it may still write.
    pub(crate) may_write: u8,
    pub(crate) leaving: bool,
    /// Whether the instance is blocked, once the relay has asked.
    pub(crate) blocked: Option<bool>,
    /// Revisions that it has read and not yet sent, in order.
    pub(crate) window: Vec<u8>,
    /// Revisions that are with its publisher.
    pub(crate) out: Vec<Out>,
    /// What is on its way to the database.
    pub(crate) settling: Vec<Settlement>,
}

/// A heartbeat under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Beating {
    #[default]
    Not,
    /// Ticks since it was sent.
    Sent(u8),
    /// Its answer is on its way.
    Answered(u8, Census),
    /// Its answer is worked on: only if the time to write is renewed before.
    Late(Census),
}

/// A row that is with the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Out {
    pub(crate) revision: u8,
    pub(crate) flight: Flight,
    /// Whether it was forgotten meanwhile: of these only a confirm counts.
    pub(crate) forgotten: bool,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Flight {
    Written,
    Taken,
    Refused,
}

/// What became of a row, to be written to the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Settlement {
    pub(crate) revision: u8,
    pub(crate) fate: Fate,
    /// Under which the slot was held.
    pub(crate) epoch: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Confirmed,
    PutOff,
}

impl Relay {
    /// Whether it would write to the broker now, if there is anything.
    pub(crate) fn acts(&self) -> bool {
        !self.killed && self.held.is_some() && self.may_write > 0
    }

    pub(crate) fn works(&self) -> bool {
        self.acts() && self.blocked.is_some() && !self.leaving
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.out.is_empty() && self.settling.is_empty()
    }

    /// Reads what waits and is not in its hands already.
    pub(crate) fn fetch(&mut self, tables: &Tables) {
        for (revision, row) in (0..).zip(tables.rows) {
            if row == Row::Waiting && !self.knows(revision) {
                self.window.push(revision);
            }
        }
        self.window.sort_unstable();
    }

    pub(crate) fn knows(&self, revision: u8) -> bool {
        self.window.contains(&revision)
            || self.out.iter().any(|out| out.revision == revision)
            || self.settling.iter().any(|known| known.revision == revision)
    }

    /// Takes over what a census says.
    pub(crate) fn agree(&mut self, me: usize, census: &Census) {
        let mine = (census.owner == Some(me)).then_some(census.epoch);
        if self.held != mine {
            self.forget();
            self.held = mine;
        }
    }

    /// Drops all but what the broker has confirmed.
    pub(crate) fn forget(&mut self) {
        self.window.clear();
        self.blocked = None;
        self.leaving = false;
        for out in &mut self.out {
            out.forgotten = true;
        }
    }

    pub(crate) fn settle(&mut self, revision: u8, fate: Fate) {
        let epoch = self.held.unwrap_or(u8::MAX);
        self.settling.push(Settlement {
            revision,
            fate,
            epoch,
        });
    }

    pub(crate) fn out(&mut self, revision: u8, flight: Flight) -> Option<&mut Out> {
        self.out
            .iter_mut()
            .find(|out| out.revision == revision && out.flight == flight)
    }

    pub(crate) fn hear_outcome(&mut self, revision: u8) -> Option<()> {
        let at = self
            .out
            .iter()
            .position(|out| out.revision == revision && out.flight != Flight::Written)?;
        let out = self.out.remove(at);
        match out.flight {
            Flight::Taken => self.settle(revision, Fate::Confirmed),
            Flight::Refused if !out.forgotten => self.settle(revision, Fate::PutOff),
            _ => {}
        }
        Some(())
    }
}
