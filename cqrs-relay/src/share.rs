//! The slots this relay works on, as its pump sees them.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_core::Slot;
use cqrs_outbox::Epoch;

use crate::lease_keeper::Holding;

#[derive(Debug, Default)]
pub(crate) struct Share {
    held: Holding,
    /// Those whose blocked instances are known. Nothing is fetched before.
    loaded: BTreeSet<Slot>,
    /// Those that were lost or left, until the keeper has noticed.
    disowned: BTreeMap<Slot, Epoch>,
}

impl Share {
    /// Takes over the keeper's view. Answers the slots that must not be worked on any more: lost,
    /// or to be left.
    pub(crate) fn agree(&mut self, keeper: &Holding) -> BTreeSet<Slot> {
        self.disowned
            .retain(|slot, epoch| keeper.get(slot).is_some_and(|held| held.epoch == *epoch));
        let mut held = keeper.clone();
        held.retain(|slot, _| !self.disowned.contains_key(slot));
        let before = std::mem::replace(&mut self.held, held);
        let stays = |slot: &Slot, epoch| {
            self.held
                .get(slot)
                .is_some_and(|held| held.epoch == epoch && !held.leaving)
        };
        let gone: BTreeSet<_> = before
            .iter()
            .filter(|(slot, held)| !held.leaving && !stays(slot, held.epoch))
            .map(|(slot, _)| *slot)
            .collect();
        self.loaded.retain(|slot| !gone.contains(slot));
        gone
    }

    /// A slot is another's, or given back. Answers whether it was held under this epoch until now:
    /// what is said of an earlier one is old news.
    pub(crate) fn disown(&mut self, slot: Slot, epoch: Epoch) -> bool {
        let held = self.held.get(&slot).is_some_and(|held| held.epoch == epoch);
        if held {
            self.held.remove(&slot);
            self.loaded.remove(&slot);
            self.disowned.insert(slot, epoch);
        }
        held
    }

    /// Whether rows of a slot are worked on.
    pub(crate) fn works_on(&self, slot: Slot) -> bool {
        self.loaded.contains(&slot)
    }

    /// The slots that are worked on.
    pub(crate) fn working(&self) -> Vec<Slot> {
        self.loaded.iter().copied().collect()
    }

    /// Whether there is nothing to work on.
    pub(crate) fn is_idle(&self) -> bool {
        self.loaded.is_empty()
    }

    /// The slots that are to be worked on once their blocked instances are known.
    pub(crate) fn unloaded(&self) -> Vec<Slot> {
        let held = self
            .held
            .iter()
            .filter(|(slot, held)| !held.leaving && !self.works_on(**slot));
        held.map(|(slot, _)| *slot).collect()
    }

    /// The blocked instances of these slots are known.
    pub(crate) fn load(&mut self, slots: &[Slot]) {
        for slot in slots {
            if self.held.get(slot).is_some_and(|held| !held.leaving) {
                self.loaded.insert(*slot);
            }
        }
    }

    /// Nothing is known any more.
    pub(crate) fn unload(&mut self) {
        self.loaded.clear();
    }

    /// The slots to be given back.
    pub(crate) fn leaving(&self) -> Vec<(Slot, Epoch)> {
        let leaving = self.held.iter().filter(|(_, held)| held.leaving);
        leaving.map(|(slot, held)| (*slot, held.epoch)).collect()
    }

    /// All slots held and their epochs.
    pub(crate) fn epochs(&self) -> Vec<(Slot, Epoch)> {
        self.held
            .iter()
            .map(|(slot, held)| (*slot, held.epoch))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease_keeper::Held;

    fn holding(slots: &[(u16, i64, bool)]) -> Holding {
        let held = |(slot, epoch, leaving): &(u16, i64, bool)| {
            (
                Slot::new(*slot).unwrap(),
                Held {
                    epoch: Epoch(*epoch),
                    leaving: *leaving,
                },
            )
        };
        slots.iter().map(held).collect()
    }

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn a_slot_is_worked_on_once_it_is_loaded_and_until_it_is_to_be_left() {
        let mut share = Share::default();
        assert!(
            share
                .agree(&holding(&[(1, 1, false), (2, 1, false)]))
                .is_empty()
        );
        assert_eq!(share.unloaded(), [slot(1), slot(2)]);
        assert!(!share.works_on(slot(1)));
        share.load(&[slot(1), slot(2), slot(3)]);
        assert_eq!(share.working(), [slot(1), slot(2)]);
        let gone = share.agree(&holding(&[(1, 1, true)]));
        assert_eq!(gone, BTreeSet::from([slot(1), slot(2)]));
        assert_eq!(share.leaving(), [(slot(1), Epoch(1))]);
        assert!(share.working().is_empty());
    }

    #[test]
    fn what_was_given_back_stays_so_until_it_is_gained_anew() {
        let mut share = Share::default();
        share.agree(&holding(&[(1, 1, true)]));
        assert!(share.disown(slot(1), Epoch(1)));
        share.agree(&holding(&[(1, 1, true)]));
        assert!(share.leaving().is_empty());
        share.agree(&holding(&[(1, 3, false)]));
        assert_eq!(share.unloaded(), [slot(1)]);
    }

    #[test]
    fn the_loss_of_an_earlier_epoch_is_old_news() {
        let mut share = Share::default();
        share.agree(&holding(&[(1, 3, false)]));
        assert!(!share.disown(slot(1), Epoch(1)));
        assert_eq!(share.epochs(), [(slot(1), Epoch(3))]);
    }

    #[test]
    fn a_new_epoch_means_a_slot_was_lost_in_between() {
        let mut share = Share::default();
        share.agree(&holding(&[(1, 1, false)]));
        share.load(&[slot(1)]);
        assert_eq!(
            share.agree(&holding(&[(1, 3, false)])),
            BTreeSet::from([slot(1)])
        );
        assert_eq!(share.unloaded(), [slot(1)]);
    }
}
