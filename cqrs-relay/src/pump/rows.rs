//! What to do with a row that comes from the outbox.

use std::time::Duration;

use cqrs_outbox::{DeadReason, OutboxRow};
use tokio::time::Instant;

use super::Pump;
use crate::{
    config::OnExpired,
    desk::Then,
    expiry,
    meter::{self, Dropped},
    row_fault,
};

/// Why a row was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is new, or later than one that held it back.
    Fetch,
    /// It failed, and its retry is due.
    Retry,
}

/// What became of the rows of an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Taken on.
    pub(super) taken: usize,
    /// Dropped, since they may not go now.
    pub(super) held: usize,
}

/// See [`Pump::line_limit`].
const LINE_LIMIT: usize = 16;

impl Pump {
    /// Takes rows on.
    pub(super) fn take_on_all(&mut self, rows: Vec<OutboxRow>, origin: Origin) -> Tally {
        let mut tally = Tally::default();
        let (mut duplicate, mut blocked, mut slot, mut destination) = (0, 0, 0, 0);
        for row in rows {
            match self.take_on(row, origin) {
                Ok(()) => tally.taken += 1,
                Err(Dropped::Duplicate) => duplicate += 1,
                Err(Dropped::Blocked) => blocked += 1,
                Err(Dropped::Destination) => destination += 1,
                Err(_) => slot += 1,
            }
        }
        tally.held = blocked + destination;
        meter::dropped(Dropped::Duplicate, duplicate);
        meter::dropped(Dropped::Blocked, blocked);
        meter::dropped(Dropped::Destination, destination);
        meter::dropped(Dropped::Slot, slot);
        tally
    }

    fn take_on(&mut self, mut row: OutboxRow, origin: Origin) -> Result<(), Dropped> {
        if !self.share.works_on(row.slot) {
            return Err(Dropped::Slot);
        }
        if self.window.knows(row.id) || self.settled_meanwhile.contains(&row.id) {
            return Err(Dropped::Duplicate);
        }
        let goes_on = match origin {
            Origin::Fetch => !self.blocked.holds(&row.instance),
            Origin::Retry => self.blocked.begin(&row),
        };
        if !goes_on {
            return Err(Dropped::Blocked);
        }
        if origin == Origin::Fetch && self.window.in_line(&row.instance) >= self.line_limit() {
            self.blocked.crowd(row.instance);
            return Err(Dropped::Blocked);
        }
        if row.expired && self.config.on_expired == OnExpired::Dead {
            let then = self.then(&row);
            self.window.note(&row);
            self.desk.expire(&row, then);
            return Ok(());
        }
        if self.destinations.hold(&row) {
            if origin == Origin::Retry {
                self.blocked.wait(row.instance);
            }
            return Err(Dropped::Destination);
        }
        if row.expired {
            let Some(body) = expiry::without(&row.body) else {
                self.fail(&row, "the body is not a JSON object".to_owned());
                return Ok(());
            };
            row.body = body;
        }
        if let Some(fault) = row_fault::too_long(&row, self.config.max_message_bytes) {
            self.give_up(&row, fault, None);
        } else if let Some(fault) = row_fault::of(&row) {
            self.fail(&row, fault);
        } else {
            self.window.admit(row);
        }
        Ok(())
    }

    /// The row cannot be sent, and it is nobody else's fault. Holds back its instance.
    fn fail(&mut self, row: &OutboxRow, fault: String) {
        let delay = self.delay_of(row);
        self.give_up(row, fault, delay);
    }

    /// Likewise, of a row that was with a publisher.
    pub(super) fn fail_noted(&mut self, row: &OutboxRow, fault: String) {
        let delay = self.delay_of(row);
        self.put_off(row, fault, delay);
    }

    fn delay_of(&self, row: &OutboxRow) -> Option<Duration> {
        self.config.retry.delay(row.attempts.saturating_add(1))
    }

    /// Puts a row off for so long, or for good, that is not in the window yet.
    fn give_up(&mut self, row: &OutboxRow, fault: String, delay: Option<Duration>) {
        self.window.note(row);
        self.put_off(row, fault, delay);
    }

    fn put_off(&mut self, row: &OutboxRow, fault: String, delay: Option<Duration>) {
        let attempts = row.attempts.saturating_add(1);
        tracing::warn!(
            cqrs_id = %row.instance.cqrs_id,
            instance_pk = row.instance.instance_pk,
            revision = row.revision.0,
            message_id = %row.message_id,
            slot = row.slot.number(),
            attempts,
            again_in_s = delay.map(|delay| delay.as_secs_f64()),
            fault,
            "the row cannot be sent"
        );
        self.blocked.begin(row);
        if let Some(delay) = delay {
            self.desk.postpone(row, delay, fault);
        } else {
            let then = self.then(row);
            self.desk
                .bury(row, DeadReason::Failed, attempts, fault, then);
        }
        let later = |other: &OutboxRow| other.instance == row.instance && other.id > row.id;
        meter::dropped(Dropped::Blocked, self.window.drop_where(later));
    }

    /// What follows for its instance when a row has been settled for good.
    pub(super) fn then(&self, row: &OutboxRow) -> Then {
        if self.blocked.is_by(row) {
            Then::Frees(row.instance.clone())
        } else {
            Then::Nothing
        }
    }

    /// How many rows of one instance are in line at most. They go one by one, so that more would only
    /// take the room of others.
    pub(super) fn line_limit(&self) -> usize {
        (self.config.window / 50).clamp(1, LINE_LIMIT)
    }

    /// Retried rows that were dropped from memory are due again, and instances whose line was dropped
    /// are read again.
    pub(super) fn recheck_blocked(&mut self) {
        self.free_drained();
        let window = &self.window;
        if self.blocked.recheck(|id| window.knows(id)) {
            let soon = Instant::now() + super::SOON;
            self.due_at = Some(self.due_at.map_or(soon, |due| due.min(soon)));
        }
    }

    /// Instances of which rows were passed over are to be read, now that their line is empty.
    pub(super) fn free_drained(&mut self) {
        let window = &self.window;
        self.blocked
            .free_drained(|instance| window.in_line(instance) > 0);
    }
}
