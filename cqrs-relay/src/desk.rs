//! What became of rows and is not written yet.

use std::time::Duration;

use cqrs_core::Slot;
use cqrs_outbox::{Buried, DeadReason, Instance, OutboxRow, Postponed, RowRef, Settlement};

/// Collects while one settlement is being written: the slower the database, the larger the next.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    settlement: Settlement,
    collected: Vec<Unsettled>,
    /// The rows of the settlement that is being written.
    out: Option<Vec<Unsettled>>,
    /// Whether that was handed out before everything was forgotten.
    haunted: bool,
}

/// A row whose settlement is not written.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) id: i64,
    pub(crate) slot: Slot,
    /// What it means for its instance, if anything.
    pub(crate) then: Then,
}

/// What follows once a row's settlement is written.
#[derive(Debug)]
pub(crate) enum Then {
    Nothing,
    /// Its instance, which it held back, is free.
    Frees(Instance),
    /// Its instance waits with it for the retry.
    Waits(Instance, Duration),
}

impl Desk {
    /// The broker has it.
    pub(crate) fn confirm(&mut self, row: &OutboxRow, then: Then) {
        self.settlement.confirmed.push(reference(row));
        self.collect(row, then);
    }

    /// Its time to live has run out.
    pub(crate) fn expire(&mut self, row: &OutboxRow, then: Then) {
        self.settlement.expired.push(reference(row));
        self.collect(row, then);
    }

    /// It failed through its own fault and is tried again.
    pub(crate) fn postpone(&mut self, row: &OutboxRow, delay: Duration, error: String) {
        let attempts = row.attempts.saturating_add(1);
        self.settlement.postponed.push(Postponed {
            row: reference(row),
            attempts,
            delay,
            error,
        });
        self.collect(row, Then::Waits(row.instance.clone(), delay));
    }

    /// It has failed for good.
    pub(crate) fn bury(
        &mut self,
        row: &OutboxRow,
        reason: DeadReason,
        attempts: u32,
        error: String,
        then: Then,
    ) {
        self.settlement.dead.push(Buried {
            row: reference(row),
            reason,
            error,
            attempts,
        });
        self.collect(row, then);
    }

    fn collect(&mut self, row: &OutboxRow, then: Then) {
        self.collected.push(Unsettled {
            id: row.id,
            slot: row.slot,
            then,
        });
    }

    /// The next settlement to write, if there is any and none is being written.
    pub(crate) fn hand_out(&mut self) -> Option<Settlement> {
        if self.out.is_some() || self.collected.is_empty() {
            return None;
        }
        self.out = Some(std::mem::take(&mut self.collected));
        Some(std::mem::take(&mut self.settlement))
    }

    /// The settlement handed out is written, or will never be: its rows.
    pub(crate) fn take_back(&mut self) -> Vec<Unsettled> {
        self.haunted = false;
        self.out.take().unwrap_or_default()
    }

    /// Whether everything is written.
    pub(crate) const fn is_clear(&self) -> bool {
        self.out.is_none() && self.collected.is_empty()
    }

    /// Forgets everything. One that is being written stays out, without rows.
    pub(crate) fn clear(&mut self) {
        self.settlement = Settlement::default();
        self.collected.clear();
        self.out = self.out.take().map(|_| Vec::new());
        self.haunted = self.out.is_some();
    }

    /// Whether a settlement is being written that is forgotten otherwise.
    pub(crate) const fn is_haunted(&self) -> bool {
        self.haunted
    }
}

const fn reference(row: &OutboxRow) -> RowRef {
    RowRef {
        id: row.id,
        message_id: row.message_id,
    }
}
