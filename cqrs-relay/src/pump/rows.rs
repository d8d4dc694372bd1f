//! What to do with a row that comes from the outbox or from the broker.

use cqrs_core::transport::Outcome;
use cqrs_outbox::{DeadReason, OutboxRow, Settled};
use tokio::time::Instant;

use super::Pump;
use crate::{
    config::OnExpired,
    desk::Then,
    destination::Refusal,
    expiry,
    lane::{Batch, LaneNews},
    meter::{self, Dropped},
    reader::Lost,
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

impl Pump {
    /// Takes rows on. Answers whether none was dropped for a reason that may pass by itself.
    pub(super) fn take_on_all(&mut self, rows: Vec<OutboxRow>, origin: Origin) -> bool {
        let (mut duplicate, mut blocked, mut slot, mut destination) = (0, 0, 0, 0);
        for row in rows {
            match self.take_on(row, origin) {
                Ok(()) => {}
                Err(Dropped::Duplicate) => duplicate += 1,
                Err(Dropped::Blocked) => blocked += 1,
                Err(Dropped::Destination) => destination += 1,
                Err(_) => slot += 1,
            }
        }
        meter::dropped(Dropped::Duplicate, duplicate);
        meter::dropped(Dropped::Blocked, blocked);
        meter::dropped(Dropped::Destination, destination);
        meter::dropped(Dropped::Slot, slot);
        blocked + destination == 0
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
        match row_fault::of(&row) {
            Some(fault) => self.fail(&row, fault),
            None => self.window.admit(row),
        }
        Ok(())
    }

    /// The row cannot be sent, and it is nobody else's fault. Holds back its instance.
    fn fail(&mut self, row: &OutboxRow, fault: String) {
        let attempts = row.attempts.saturating_add(1);
        let delay = self.config.retry.delay(attempts);
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
        self.window.note(row);
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
    fn then(&self, row: &OutboxRow) -> Then {
        if self.blocked.is_by(row) {
            Then::Frees(row.instance.clone())
        } else {
            Then::Nothing
        }
    }

    pub(super) fn hear_lane(&mut self, number: usize, news: LaneNews) {
        let lane = &mut self.lanes[number];
        match news {
            LaneNews::Up => lane.up = true,
            LaneNews::Sent(batch, outcomes) => {
                lane.out.pop_front();
                self.note_outcomes(batch, outcomes);
            }
            LaneNews::Lost(batch) => {
                lane.out.pop_front();
                lane.up = false;
                meter::published("lost", batch.rows.len());
                self.note_unsent(batch);
            }
            LaneNews::Unsent(batch) => {
                lane.out.pop_front();
                self.note_unsent(batch);
            }
        }
    }

    fn note_outcomes(&mut self, batch: Batch, outcomes: Vec<Outcome>) {
        let tally = |which| outcomes.iter().filter(|outcome| **outcome == which).count();
        meter::published("confirmed", tally(Outcome::Confirmed));
        meter::published("refused", tally(Outcome::Refused));
        meter::published("unroutable", tally(Outcome::Unroutable));
        if batch.life != self.life {
            return;
        }
        let (mut up, mut down) = (false, false);
        for (row, outcome) in batch.rows.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Confirmed => {
                    up |= self.destinations.took(&row);
                    let then = self.then(&row);
                    self.desk.confirm(&row, then);
                    self.window.done(&row);
                }
                Outcome::Unroutable if row.queue.is_some() => {
                    up |= self.destinations.took(&row);
                    self.bury_unaddressed(&row);
                    self.window.done(&row);
                }
                Outcome::Refused | Outcome::Unroutable => down |= self.note_refused(row, outcome),
            }
        }
        if down {
            let Self {
                window,
                destinations,
                ..
            } = self;
            meter::dropped(
                Dropped::Destination,
                window.drop_where(|row| destinations.hold(row)),
            );
            self.recheck_blocked();
        }
        if up {
            self.begin_series();
            self.due_at = Some(Instant::now());
        }
        if up || down {
            meter::destinations_down(self.destinations.down());
        }
    }

    /// Answers whether a destination has gone down.
    fn note_refused(&mut self, row: OutboxRow, outcome: Outcome) -> bool {
        if !self.share.works_on(row.slot) {
            meter::dropped(Dropped::Slot, self.window.forget(&row));
            return false;
        }
        let (cqrs_id, queue) = (row.instance.cqrs_id.clone(), row.queue.clone());
        match self.destinations.refused(row, Instant::now()) {
            Refusal::WentDown => {
                tracing::warn!(
                    %cqrs_id,
                    queue = queue.as_ref().map(cqrs_core::QueueName::as_str),
                    ?outcome,
                    "a destination does not take messages; they wait in the outbox"
                );
                true
            }
            Refusal::StillDown => false,
            Refusal::Another(row) => {
                meter::dropped(Dropped::Destination, self.window.forget(&row));
                self.recheck_blocked();
                false
            }
        }
    }

    fn bury_unaddressed(&mut self, row: &OutboxRow) {
        let queue = row.queue.as_ref().map_or("", |queue| queue.as_str());
        tracing::warn!(
            cqrs_id = %row.instance.cqrs_id,
            instance_pk = row.instance.instance_pk,
            revision = row.revision.0,
            message_id = %row.message_id,
            slot = row.slot.number(),
            queue,
            "a direct sync to a queue that does not exist is dead"
        );
        let then = self.then(row);
        let error = format!("no queue is bound for direct messages to `{queue}`");
        self.desk
            .bury(row, DeadReason::NoQueue, row.attempts, error, then);
    }

    /// Rows that came back go again, those whose time has passed excepted.
    fn note_unsent(&mut self, batch: Batch) {
        if batch.life != self.life {
            return;
        }
        let (mut again, mut slot, mut destination) = (Vec::with_capacity(batch.rows.len()), 0, 0);
        for row in batch.rows {
            let Some(row) = self.destinations.unsent(row) else {
                continue;
            };
            if !self.share.works_on(row.slot) || self.stopping.is_some() {
                slot += self.window.forget(&row);
            } else if self.destinations.hold(&row) {
                destination += self.window.forget(&row);
            } else {
                again.push(row);
            }
        }
        self.window.put_back(again);
        meter::dropped(Dropped::Slot, slot);
        meter::dropped(Dropped::Destination, destination);
        self.recheck_blocked();
        if self.stopping.is_some() {
            self.drop_unsent();
        }
    }

    /// Retried rows that were dropped from memory are due again.
    pub(super) fn recheck_blocked(&mut self) {
        let window = &self.window;
        if self.blocked.recheck(|id| window.knows(id)) {
            let soon = Instant::now() + super::SOON;
            self.due_at = Some(self.due_at.map_or(soon, |due| due.min(soon)));
        }
    }

    pub(super) fn hear_settled(&mut self, answer: Result<Settled, Lost>) {
        let rows = self.desk.take_back();
        let Ok(settled) = answer else {
            self.reset("the database was lost");
            return;
        };
        let now = Instant::now();
        for row in rows {
            self.window.settled(row.id, row.slot);
            if self.reading.is_some() {
                self.settled_meanwhile.insert(row.id);
            }
            if !self.share.works_on(row.slot) {
                continue;
            }
            match row.then {
                Then::Nothing => {}
                Then::Frees(instance) => self.blocked.free(instance),
                Then::Waits(instance, delay) => {
                    self.blocked.wait(instance);
                    let due = now + delay;
                    self.due_at = Some(self.due_at.map_or(due, |at| at.min(due)));
                }
            }
        }
        if !settled.lost.is_empty() {
            tracing::warn!(
                slots = settled.lost.len(),
                "slots were taken over by another relay"
            );
            for slot in &settled.lost {
                self.share.disown(*slot);
            }
            self.abandon(|slot| settled.lost.contains(&slot));
        }
    }
}
