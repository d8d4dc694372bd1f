//! What to make of the broker's word, and of the database's on what was settled.

use std::collections::BTreeSet;

use cqrs_core::{QueueName, Slot, transport::Outcome};
use cqrs_outbox::{DeadReason, OutboxRow, Settled};
use tokio::time::Instant;

use super::Pump;
use crate::{
    desk::Then,
    destination::Refusal,
    lane::{Batch, LaneNews},
    meter::{self, Dropped},
    reader::Lost,
};

impl Pump {
    pub(super) fn hear_lane(&mut self, number: usize, news: LaneNews) {
        let lane = &mut self.lanes[number];
        match news {
            LaneNews::Up => lane.up = true,
            LaneNews::Sent(batch, outcomes) => {
                lane.out.pop_front();
                self.note_outcomes(batch, outcomes);
            }
            LaneNews::Lost(batch, outcomes) => {
                lane.out.pop_front();
                lane.up = false;
                let (known, outcomes, unknown) = batch.split(outcomes);
                meter::published("lost", unknown.rows.len());
                self.note_outcomes(known, outcomes);
                self.note_unsent(unknown);
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
        meter::published("too_large", tally(Outcome::TooLarge));
        if batch.life != self.life {
            let sent = batch.rows.iter().zip(&outcomes);
            for (row, _) in sent.filter(|(_, outcome)| **outcome == Outcome::Confirmed) {
                self.desk.keep(row);
            }
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
                Outcome::TooLarge => {
                    up |= self.destinations.took(&row);
                    self.note_too_large(&row);
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
        if !self.share.works_on(row.slot) || self.stopping.is_some() {
            self.destinations.returned(&row);
            meter::dropped(Dropped::Slot, self.window.forget(&row));
            return false;
        }
        let (cqrs_id, queue) = (row.instance.cqrs_id.clone(), row.queue.clone());
        match self.destinations.refused(row, Instant::now()) {
            Refusal::WentDown => {
                tracing::warn!(
                    %cqrs_id,
                    queue = queue.as_ref().map(QueueName::as_str),
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

    fn note_too_large(&mut self, row: &OutboxRow) {
        if !self.share.works_on(row.slot) || self.stopping.is_some() {
            meter::dropped(Dropped::Slot, self.window.forget(row));
            return;
        }
        self.window.done(row);
        let len = row.body.len();
        let fault = format!("the broker takes no body of {len} bytes: see its `max_message_size`");
        self.fail_noted(row, fault);
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

    pub(super) fn hear_settled(&mut self, answer: Result<Settled, Lost>) {
        let Ok(settled) = answer else {
            self.desk.failed();
            self.reset("the database was lost");
            return;
        };
        let rows = self.desk.written();
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
        // Not earlier: what is confirmed and not deleted would only be read again.
        self.free_drained();
        self.lose(&settled.lost);
    }

    /// The database says that slots are not held any more under the epochs of the last settlement.
    fn lose(&mut self, lost: &[Slot]) {
        let under = std::mem::take(&mut self.settling_under);
        let lost: BTreeSet<_> = under
            .into_iter()
            .filter(|(slot, epoch)| lost.contains(slot) && self.share.disown(*slot, *epoch))
            .map(|(slot, _)| slot)
            .collect();
        if !lost.is_empty() {
            tracing::info!(slots = lost.len(), "slots are not held any more");
            self.abandon(|slot| lost.contains(&slot));
        }
    }
}
