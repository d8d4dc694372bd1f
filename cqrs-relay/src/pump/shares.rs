//! Slots that come and go, and starting over.

use std::time::Duration;

use cqrs_core::Slot;
use tokio::time::Instant;

use super::Pump;
use crate::meter::{self, Dropped};

/// What the log tells of leases that lapse: one line a minute. A long transaction on `SQLite` keeps
/// relays from renewing them, and does no harm.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    began: Option<Instant>,
    /// Since the last line.
    count: u32,
    told: Option<Instant>,
}

impl Pauses {
    fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    fn end(&mut self) {
        let Some(began) = self.began.take() else {
            return;
        };
        self.count += 1;
        if self
            .told
            .is_none_or(|told| told.elapsed() >= Duration::from_mins(1))
        {
            tracing::info!(
                pauses = self.count,
                last_ms = began.elapsed().as_millis(),
                "publishing had paused, since the lease could not be renewed in time"
            );
            *self = Self {
                told: Some(Instant::now()),
                ..Self::default()
            };
        }
    }
}

impl Pump {
    /// Takes over what the keeper says.
    pub(super) fn agree(&mut self) {
        let gone = {
            let holding = self.ends.holding.borrow_and_update();
            self.share.agree(&holding)
        };
        if !gone.is_empty() {
            self.abandon(|slot| gone.contains(&slot));
        }
        meter::window(self.window.rows());
    }

    /// Works no more on these slots. What is with a publisher stays until its outcome is known.
    pub(super) fn abandon(&mut self, gone: impl Fn(Slot) -> bool) {
        let mut dropped = self.window.drop_where(|row| gone(row.slot));
        for probe in self.destinations.leave(&gone) {
            dropped += self.window.forget(&probe);
        }
        self.blocked.leave(&gone);
        self.reload();
        meter::dropped(Dropped::Slot, dropped);
    }

    /// Gives back the slots to be left of which nothing is with a publisher or unsettled.
    pub(super) fn leave(&mut self) {
        for (slot, epoch) in self.share.leaving() {
            if self.window.busy(slot) == 0 && !self.is_with_publisher(slot) {
                self.share.disown(slot, epoch);
                // A keeper that is gone ends the relay: the supervisor sees to it.
                self.ends.left.send((slot, epoch)).ok();
            }
        }
    }

    /// Whether rows of a slot from an earlier life may be with a publisher.
    pub(super) fn is_with_publisher(&self, slot: Slot) -> bool {
        let lane = &self.lanes[self.window.lane(slot)];
        lane.out.iter().any(|life| *life != self.life)
    }

    /// Notices when the tenure lapses, and when it is there again.
    pub(super) fn watch_tenure(&mut self) {
        match (self.tenure.is_safe(), self.lapsed) {
            (false, false) => {
                self.lapsed = true;
                self.pauses.begin();
                meter::lapsed();
                self.reset("the lease lapsed");
            }
            (true, true) => {
                self.lapsed = false;
                self.pauses.end();
            }
            _ => {}
        }
    }

    /// Forgets everything fetched or unsettled but what the broker has confirmed. It is all in the
    /// outbox.
    pub(super) fn reset(&mut self, why: &'static str) {
        let unsettled = self.window.busy_rows();
        let confirmed = self.desk.confirmed();
        self.life += 1;
        let rows = self.window.clear();
        meter::dropped(Dropped::Forgotten, rows);
        self.destinations.forget();
        self.blocked.clear();
        self.desk.clear();
        self.share.unload();
        self.settled_meanwhile.clear();
        self.due_at = None;
        self.begin_series();
        self.ignore_reading();
        tracing::debug!(why, rows, unsettled, confirmed, "started over");
    }

    /// Drops what is not with a publisher, for good: the relay is stopping.
    pub(super) fn drop_unsent(&mut self) {
        let mut dropped = self.window.drop_where(|_| true);
        for probe in self.destinations.leave(|_| true) {
            dropped += self.window.forget(&probe);
        }
        meter::dropped(Dropped::Stopping, dropped);
    }
}
