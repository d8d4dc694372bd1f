//! The rows in memory: in line, with a publisher, or waiting to be settled.
//!
//! Guarantees: at most one row of an instance is with a publisher; the rows of an instance leave in
//! the order in which they were admitted; when a row is dropped, so are all later ones of its
//! instance. Knows nothing of databases or brokers, and never waits.

use std::collections::{HashMap, HashSet, VecDeque, hash_map::Entry};

use cqrs_core::{SLOTS, Slot};
use cqrs_outbox::{Instance, OutboxRow};

#[derive(Debug)]
pub(crate) struct Window {
    /// Rows that may be sent now, by lane: the first of their instances.
    ready: Vec<VecDeque<OutboxRow>>,
    /// For each instance with a row ready or with a publisher: the rows behind it.
    behind: HashMap<Instance, VecDeque<OutboxRow>>,
    /// All rows that are not settled, by id.
    known: HashSet<i64>,
    /// By slot: rows that are with a publisher or to be settled.
    busy: [usize; SLOTS as usize],
    bytes: usize,
}

impl Window {
    pub(crate) fn new(lanes: u16) -> Self {
        Self {
            ready: (0..lanes.max(1)).map(|_| VecDeque::new()).collect(),
            behind: HashMap::new(),
            known: HashSet::new(),
            busy: [0; SLOTS as usize],
            bytes: 0,
        }
    }

    /// The lane that sends all rows of this slot.
    pub(crate) fn lane(&self, slot: Slot) -> usize {
        usize::from(slot.number()) % self.ready.len()
    }

    /// How many rows are not settled.
    pub(crate) fn rows(&self) -> usize {
        self.known.len()
    }

    /// How many bytes of bodies are not confirmed.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn knows(&self, id: i64) -> bool {
        self.known.contains(&id)
    }

    /// How many rows of an instance are in line or with a publisher.
    pub(crate) fn in_line(&self, instance: &Instance) -> usize {
        self.behind.get(instance).map_or(0, |line| line.len() + 1)
    }

    /// How many rows of a slot are with a publisher or to be settled.
    pub(crate) fn busy(&self, slot: Slot) -> usize {
        self.busy[usize::from(slot.number())]
    }

    /// How many rows are with a publisher or to be settled.
    pub(crate) fn busy_rows(&self) -> usize {
        self.busy.iter().sum()
    }

    /// Whether a lane has nothing to send.
    pub(crate) fn is_idle(&self, lane: usize) -> bool {
        self.ready[lane].is_empty()
    }

    /// Puts a row into line behind the others of its instance.
    pub(crate) fn admit(&mut self, row: OutboxRow) {
        self.known.insert(row.id);
        self.bytes += row.body.len();
        match self.behind.entry(row.instance.clone()) {
            Entry::Occupied(line) => line.into_mut().push_back(row),
            Entry::Vacant(place) => {
                place.insert(VecDeque::new());
                let lane = self.lane(row.slot);
                self.ready[lane].push_back(row);
            }
        }
    }

    /// Notes a row that is to be settled without being sent.
    pub(crate) fn note(&mut self, row: &OutboxRow) {
        self.known.insert(row.id);
        self.busy[usize::from(row.slot.number())] += 1;
    }

    /// Takes rows for a publisher, at least one if there is one that may go. Those that may not stay
    /// where they are.
    pub(crate) fn take(
        &mut self,
        lane: usize,
        rows: usize,
        bytes: usize,
        mut may_go: impl FnMut(&OutboxRow) -> bool,
    ) -> Vec<OutboxRow> {
        let ready = &mut self.ready[lane];
        let (mut taken, mut staying, mut size) = (Vec::new(), Vec::new(), 0);
        while taken.len() < rows
            && let Some(row) = ready.pop_front()
        {
            if !taken.is_empty() && size + row.body.len() > bytes {
                staying.push(row);
                break;
            }
            if may_go(&row) {
                size += row.body.len();
                self.busy[usize::from(row.slot.number())] += 1;
                taken.push(row);
            } else {
                staying.push(row);
            }
        }
        for row in staying.into_iter().rev() {
            ready.push_front(row);
        }
        taken
    }

    /// A row that was taken needs no more sending: the next of its instance may go. It stays known
    /// and busy until [`Self::settled`].
    pub(crate) fn done(&mut self, row: &OutboxRow) {
        self.bytes -= row.body.len();
        if let Entry::Occupied(mut line) = self.behind.entry(row.instance.clone()) {
            match line.get_mut().pop_front() {
                Some(next) => {
                    let lane = self.lane(next.slot);
                    self.ready[lane].push_back(next);
                }
                None => drop(line.remove()),
            }
        }
    }

    /// Rows that were taken and not sent, or whose fate is unknown, are the next to be sent.
    pub(crate) fn put_back(&mut self, rows: Vec<OutboxRow>) {
        for row in rows.into_iter().rev() {
            self.busy[usize::from(row.slot.number())] -= 1;
            let lane = self.lane(row.slot);
            self.ready[lane].push_front(row);
        }
    }

    /// A row's settlement is written.
    pub(crate) fn settled(&mut self, id: i64, slot: Slot) {
        if self.known.remove(&id) {
            self.busy[usize::from(slot.number())] -= 1;
        }
    }

    /// Drops what is ready and meets the condition, with all behind it, and what is behind others
    /// and meets it, with all further behind. Answers how many.
    pub(crate) fn drop_where(&mut self, mut condition: impl FnMut(&OutboxRow) -> bool) -> usize {
        let before = self.known.len();
        let Self {
            ready,
            behind,
            known,
            bytes,
            ..
        } = self;
        let mut forget = |row: &OutboxRow| {
            known.remove(&row.id);
            *bytes -= row.body.len();
        };
        for lane in ready {
            lane.retain(|row| {
                let goes = condition(row);
                if goes {
                    forget(row);
                    for later in behind.remove(&row.instance).into_iter().flatten() {
                        forget(&later);
                    }
                }
                !goes
            });
        }
        for line in behind.values_mut() {
            if let Some(first) = line.iter().position(&mut condition) {
                line.drain(first..).for_each(|row| forget(&row));
            }
        }
        before - self.known.len()
    }

    /// Forgets a row that was taken, and drops what is behind it. Answers how many, itself included.
    pub(crate) fn forget(&mut self, row: &OutboxRow) -> usize {
        let mut dropped = 1;
        self.bytes -= row.body.len();
        self.settled(row.id, row.slot);
        for later in self.behind.remove(&row.instance).into_iter().flatten() {
            self.bytes -= later.body.len();
            self.known.remove(&later.id);
            dropped += 1;
        }
        dropped
    }

    /// Forgets everything. Answers how many.
    pub(crate) fn clear(&mut self) -> usize {
        let rows = self.known.len();
        self.ready.iter_mut().for_each(VecDeque::clear);
        self.behind.clear();
        self.known.clear();
        self.busy = [0; SLOTS as usize];
        self.bytes = 0;
        rows
    }
}

#[cfg(test)]
pub(crate) mod tests;
