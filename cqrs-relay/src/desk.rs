//! What became of rows and is not written yet.

use std::time::Duration;

use cqrs_core::Slot;
use cqrs_outbox::{Buried, DeadReason, Instance, OutboxRow, Postponed, RowRef, Settlement};

/// Collects while one settlement is being written: the slower the database, the larger the next.
///
/// A row that the broker has confirmed is remembered until it is deleted, whatever else is forgotten:
/// deleting it is right under any lease and by any session, and not to know of it would send it again.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    settlement: Settlement,
    collected: Vec<Unsettled>,
    /// The settlement that is being written.
    out: Option<Out>,
    /// Whether the next settlement holds rows of which nothing else is remembered.
    kept: bool,
}

#[derive(Debug)]
struct Out {
    rows: Vec<Unsettled>,
    confirmed: Vec<RowRef>,
    /// Whether it holds rows of which nothing else is remembered.
    haunts: bool,
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

    /// The broker has a row of which nothing else is remembered.
    pub(crate) fn keep(&mut self, row: &OutboxRow) {
        self.settlement.confirmed.push(reference(row));
        self.kept = true;
    }

    /// The next settlement to write, if there is any and none is being written.
    pub(crate) fn hand_out(&mut self) -> Option<Settlement> {
        if self.out.is_some() || self.settlement.is_empty() {
            return None;
        }
        let settlement = std::mem::take(&mut self.settlement);
        self.out = Some(Out {
            rows: std::mem::take(&mut self.collected),
            confirmed: settlement.confirmed.clone(),
            haunts: std::mem::take(&mut self.kept),
        });
        Some(settlement)
    }

    /// The settlement handed out is written: its rows.
    pub(crate) fn written(&mut self) -> Vec<Unsettled> {
        self.out.take().map_or_else(Vec::new, |out| out.rows)
    }

    /// Nobody knows whether the settlement handed out is written. Forgets everything else.
    pub(crate) fn failed(&mut self) {
        if let Some(out) = self.out.take() {
            self.settlement.confirmed.extend(out.confirmed);
        }
        self.clear();
    }

    /// Whether everything is written.
    pub(crate) const fn is_clear(&self) -> bool {
        self.out.is_none() && self.settlement.is_empty()
    }

    /// Forgets everything but the rows that the broker has confirmed. A settlement that is being
    /// written stays out, without rows.
    pub(crate) fn clear(&mut self) {
        let confirmed = std::mem::take(&mut self.settlement.confirmed);
        self.kept = !confirmed.is_empty();
        self.settlement = Settlement {
            confirmed,
            ..Settlement::default()
        };
        self.collected.clear();
        if let Some(out) = &mut self.out {
            out.rows.clear();
            out.haunts = true;
        }
    }

    /// Whether anything is being written, or to be written, that is forgotten otherwise.
    pub(crate) fn is_haunted(&self) -> bool {
        self.kept || self.out.as_ref().is_some_and(|out| out.haunts)
    }

    /// How many rows the broker has confirmed that are not known to be deleted.
    pub(crate) fn confirmed(&self) -> usize {
        let out = self.out.as_ref().map_or(0, |out| out.confirmed.len());
        self.settlement.confirmed.len() + out
    }
}

const fn reference(row: &OutboxRow) -> RowRef {
    RowRef {
        id: row.id,
        message_id: row.message_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::row;

    fn ids(settlement: &Settlement) -> Vec<i64> {
        settlement.confirmed.iter().map(|row| row.id).collect()
    }

    #[test]
    fn confirmed_rows_are_remembered_until_they_are_written() {
        let mut desk = Desk::default();
        desk.confirm(&row(1, 7), Then::Nothing);
        desk.hand_out().unwrap();
        desk.confirm(&row(2, 8), Then::Nothing);
        desk.expire(&row(3, 9), Then::Nothing);
        desk.failed();
        assert!(desk.is_haunted());
        assert_eq!(desk.confirmed(), 2);
        let again = desk.hand_out().unwrap();
        assert_eq!(ids(&again), [2, 1]);
        assert!(again.expired.is_empty(), "it is read again instead");
        assert!(desk.is_haunted());
        assert!(desk.written().is_empty());
        assert!(desk.is_clear() && !desk.is_haunted());
    }

    #[test]
    fn a_settlement_under_way_is_waited_for_after_everything_was_forgotten() {
        let mut desk = Desk::default();
        desk.confirm(&row(1, 7), Then::Nothing);
        desk.hand_out().unwrap();
        desk.confirm(&row(2, 8), Then::Nothing);
        desk.clear();
        assert!(desk.is_haunted());
        assert!(desk.written().is_empty());
        assert!(desk.is_haunted(), "the other row is not written yet");
        assert_eq!(ids(&desk.hand_out().unwrap()), [2]);
        desk.written();
        assert!(!desk.is_haunted());
    }

    #[test]
    fn a_row_confirmed_after_everything_was_forgotten_is_settled_too() {
        let mut desk = Desk::default();
        desk.clear();
        assert!(!desk.is_haunted());
        desk.keep(&row(1, 7));
        assert!(desk.is_haunted());
        assert_eq!(ids(&desk.hand_out().unwrap()), [1]);
    }
}
