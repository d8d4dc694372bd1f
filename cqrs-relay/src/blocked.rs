//! Instances whose rows are held back: an earlier one failed through its own fault, or there are enough of
//! them in memory.

use std::collections::{HashMap, HashSet};

use cqrs_core::Slot;
use cqrs_outbox::{Instance, OutboxRow};

#[derive(Debug, Default)]
pub(crate) struct Blocked {
    instances: HashMap<Instance, Stage>,
    freed: Vec<Instance>,
    /// Those of the last stage.
    crowded: HashSet<Instance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its row waits in the outbox for a retry.
    Waiting,
    /// Its row, by id, is here: to be sent, or to be settled.
    Here(i64),
    /// Its row is settled for good. The later ones are to be read.
    Freed,
    /// Rows of it were passed over, since enough are in line. They are to be read once those have gone.
    Crowded,
}

impl Blocked {
    /// Whether rows of an instance are held back.
    pub(crate) fn holds(&self, instance: &Instance) -> bool {
        !self.instances.is_empty() && self.instances.contains_key(instance)
    }

    /// These have a row that waits.
    pub(crate) fn load(&mut self, instances: Vec<Instance>) {
        for instance in instances {
            self.instances.entry(instance).or_insert(Stage::Waiting);
        }
    }

    /// A row has failed, or a waiting one is due. Answers whether it is the one to go on with.
    pub(crate) fn begin(&mut self, row: &OutboxRow) -> bool {
        let stage = self
            .instances
            .entry(row.instance.clone())
            .or_insert(Stage::Waiting);
        if *stage == Stage::Waiting {
            *stage = Stage::Here(row.id);
        }
        *stage == Stage::Here(row.id)
    }

    /// Whether this is the row that holds its instance back.
    pub(crate) fn is_by(&self, row: &OutboxRow) -> bool {
        !self.instances.is_empty()
            && self.instances.get(&row.instance) == Some(&Stage::Here(row.id))
    }

    /// The row waits in the outbox again.
    pub(crate) fn wait(&mut self, instance: Instance) {
        self.instances.insert(instance, Stage::Waiting);
    }

    /// Rows that are not here any more wait in the outbox. Answers whether there are any.
    pub(crate) fn recheck(&mut self, is_here: impl Fn(i64) -> bool) -> bool {
        let mut any = false;
        for stage in self.instances.values_mut() {
            if matches!(stage, Stage::Here(id) if !is_here(*id)) {
                *stage = Stage::Waiting;
                any = true;
            }
        }
        any
    }

    /// The row is settled for good.
    pub(crate) fn free(&mut self, instance: Instance) {
        self.instances.insert(instance.clone(), Stage::Freed);
        self.freed.push(instance);
    }

    /// Enough rows of an instance are in line: those that come are passed over from now on.
    pub(crate) fn crowd(&mut self, instance: Instance) {
        if !self.instances.contains_key(&instance) {
            self.instances.insert(instance.clone(), Stage::Crowded);
            self.crowded.insert(instance);
        }
    }

    /// Frees the crowded ones that have no row in line any more.
    pub(crate) fn free_drained(&mut self, in_line: impl Fn(&Instance) -> bool) {
        let drained = self.crowded.extract_if(|instance| !in_line(instance));
        for instance in drained.collect::<Vec<_>>() {
            if self.instances.get(&instance) == Some(&Stage::Crowded) {
                self.free(instance);
            }
        }
    }

    /// Some freed instances, whose later rows are to be read now.
    pub(crate) fn take_freed(&mut self, at_most: usize) -> Vec<Instance> {
        let rest = self.freed.split_off(at_most.min(self.freed.len()));
        std::mem::replace(&mut self.freed, rest)
    }

    pub(crate) fn has_freed(&self) -> bool {
        !self.freed.is_empty()
    }

    /// Nothing holds these back any more.
    pub(crate) fn unblock(&mut self, instances: &[Instance]) {
        for instance in instances {
            if self.instances.get(instance) == Some(&Stage::Freed) {
                self.instances.remove(instance);
            }
        }
    }

    /// Forgets the instances of these slots.
    pub(crate) fn leave(&mut self, slots: impl Fn(Slot) -> bool) {
        let goes =
            |instance: &Instance| slots(Slot::of(instance.cqrs_id.as_str(), &instance.instance_pk));
        self.instances.retain(|instance, _| !goes(instance));
        self.freed.retain(|instance| !goes(instance));
        self.crowded.retain(|instance| !goes(instance));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::row;

    #[test]
    fn holds_an_instance_from_its_rows_failure_until_the_later_rows_are_read() {
        let mut blocked = Blocked::default();
        let failed = row(1, 7);
        assert!(blocked.begin(&failed) && blocked.is_by(&failed));
        assert!(!blocked.begin(&row(2, 7)), "one at a time");
        blocked.wait(failed.instance.clone());
        assert!(blocked.holds(&failed.instance) && !blocked.is_by(&failed));
        assert!(blocked.begin(&failed));
        blocked.free(failed.instance.clone());
        let freed = blocked.take_freed(10);
        assert!(blocked.holds(&failed.instance));
        blocked.unblock(&freed);
        assert!(!blocked.holds(&failed.instance));
    }

    #[test]
    fn a_crowded_instance_is_held_until_its_line_is_empty() {
        let mut blocked = Blocked::default();
        let instance = row(1, 7).instance;
        blocked.crowd(instance.clone());
        assert!(blocked.holds(&instance));
        blocked.free_drained(|_| true);
        assert!(!blocked.has_freed());
        blocked.free_drained(|_| false);
        let freed = blocked.take_freed(10);
        assert_eq!(freed, std::slice::from_ref(&instance));
        blocked.unblock(&freed);
        assert!(!blocked.holds(&instance));
        blocked.free_drained(|_| false);
        assert!(!blocked.has_freed(), "once");
    }

    #[test]
    fn a_row_dropped_from_memory_waits_again() {
        let mut blocked = Blocked::default();
        blocked.begin(&row(1, 7));
        assert!(!blocked.recheck(|_| true));
        assert!(blocked.recheck(|_| false));
        assert!(blocked.begin(&row(1, 7)));
    }
}
