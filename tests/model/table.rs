//! What the database holds: heartbeats, the lease of the slot, and the outbox rows of one instance.

/// How long a heartbeat lives, in ticks.
pub(crate) const LEASE: u8 = 2;
/// The revisions of the instance.
pub(crate) const REVISIONS: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tables {
    pub(crate) beats: [Beat; 2],
    pub(crate) owner: Option<usize>,
    pub(crate) epoch: u8,
    /// By revision.
    pub(crate) rows: [Row; REVISIONS as usize],
}

/// The heartbeat of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Beat {
    pub(crate) number: u8,
    /// Ticks until it has run out.
    pub(crate) lives: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Row {
    Waiting,
    /// It has a next attempt, and its instance is blocked until then.
    PutOff,
    Gone,
}

/// What a relay sees after its beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Census {
    pub(crate) owner: Option<usize>,
    pub(crate) epoch: u8,
    /// The beat of the other relay, and whether it has run out.
    pub(crate) other: u8,
    pub(crate) dead: bool,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self {
            beats: [Beat::default(); 2],
            owner: None,
            epoch: 0,
            rows: [Row::Waiting; REVISIONS as usize],
        }
    }

    /// `renew.sql` and `census.sql`. The first also takes from a relay whose heartbeat had run out what it
    /// held; the promises hold without that.
    pub(crate) fn beat(&mut self, me: usize) -> Census {
        let beat = &mut self.beats[me];
        *beat = Beat {
            number: beat.number + 1,
            lives: LEASE,
        };
        let other = self.beats[1 - me];
        Census {
            owner: self.owner,
            epoch: self.epoch,
            other: other.number,
            dead: other.lives == 0,
        }
    }

    pub(crate) fn beats_sent(&self) -> u8 {
        self.beats.iter().map(|beat| beat.number).sum()
    }

    pub(crate) fn blocked(&self) -> bool {
        self.rows.contains(&Row::PutOff)
    }
}
