//! Routing keys that do not take messages.
//!
//! A destination is down from the first message it refuses until it takes the probe: the first row
//! refused, sent again by itself after growing pauses. Meanwhile its rows are not kept in memory; when
//! it is up again they are read anew. What is held back beside its own rows is only what keeps the
//! order within an instance.
//!
//! One that has come up gets a few rows at first, and two for each that it takes. A full queue has room for
//! little, and each row that it refuses has reached the other queues of the model all the same.
//!
//! The probe is always the first unsent row of its instance, so sending it breaks no order.

use std::collections::{HashMap, HashSet};

use cqrs_core::{CqrsId, RetryPolicy, Slot, transport::Routing};
use cqrs_outbox::{Instance, OutboxRow};
use tokio::time::Instant;

/// Beyond so many instances of a direct destination, all of the model are held back.
const INSTANCES_REMEMBERED: usize = 10_000;

/// How many rows a destination gets at first when it has come up.
const FIRST: usize = 2;
/// One that may get so many is up like any other.
const ENOUGH: usize = 1_000;

/// All destinations that are down, or have just come up.
#[derive(Debug)]
pub(crate) struct Destinations {
    retry: RetryPolicy,
    down: HashMap<Routing, Down>,
    /// Those that have just come up: how many rows they may get beside those on their way.
    rising: HashMap<Routing, usize>,
}

#[derive(Debug)]
struct Down {
    attempts: u32,
    due: Instant,
    probe: Probe,
    /// Whose direct messages were passed over. A broadcast reaches every instance of its model and
    /// needs no list.
    instances: HashSet<Instance>,
}

#[derive(Debug)]
enum Probe {
    /// Waits for its time.
    Waiting(Box<OutboxRow>),
    /// Is on its way: the row's id and slot.
    Out(i64, Slot),
    /// Was lost with its slot.
    Missing,
    /// For want of a probe any row may go; its outcome decides.
    Trial,
}

/// What a refusal means.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The destination is down from now on; the row is its probe.
    WentDown,
    /// It was down before; the row is its probe.
    StillDown,
    /// It was down before and has another probe: the row is not needed.
    Another(OutboxRow),
}

/// Whom a row is for.
pub(crate) fn routing(row: &OutboxRow) -> Routing {
    let cqrs_id = row.instance.cqrs_id.clone();
    match &row.queue {
        None => Routing::Broadcast(cqrs_id),
        Some(queue) => Routing::Direct {
            queue: queue.clone(),
            cqrs_id,
        },
    }
}

impl Destinations {
    pub(crate) fn new(retry: RetryPolicy) -> Self {
        Self {
            retry,
            down: HashMap::new(),
            rising: HashMap::new(),
        }
    }

    /// How many are down.
    pub(crate) fn down(&self) -> usize {
        self.down.len()
    }

    /// Whether a row must not be sent now. If so it must be dropped, and no later row of its
    /// instance may go before it has been read again.
    pub(crate) fn hold(&mut self, row: &OutboxRow) -> bool {
        if self.down.is_empty() || self.is_probe(row) {
            return false;
        }
        let mut held = false;
        for (routing, down) in &mut self.down {
            if matches!(down.probe, Probe::Trial) {
                continue;
            }
            match routing {
                Routing::Broadcast(cqrs_id) => held |= *cqrs_id == row.instance.cqrs_id,
                Routing::Direct { cqrs_id, .. } if *cqrs_id != row.instance.cqrs_id => {}
                Routing::Direct { queue, .. } if row.queue.as_ref() == Some(queue) => {
                    held = true;
                    down.remember(&row.instance);
                }
                Routing::Direct { .. } => {
                    held |= down.instances.len() >= INSTANCES_REMEMBERED
                        || down.instances.contains(&row.instance);
                }
            }
        }
        held
    }

    /// The models of which every row must be held, so that none need be read. When one of them is not
    /// among them any more, its rows are to be read again.
    pub(crate) fn models_held(&self) -> Vec<CqrsId> {
        let held = self
            .down
            .iter()
            .filter_map(|(routing, down)| match routing {
                _ if matches!(down.probe, Probe::Trial) => None,
                Routing::Broadcast(cqrs_id) => Some(cqrs_id),
                Routing::Direct { cqrs_id, .. } => {
                    (down.instances.len() >= INSTANCES_REMEMBERED).then_some(cqrs_id)
                }
            });
        held.cloned().collect()
    }

    /// Whether a row may go to a publisher now, and if so counts it.
    pub(crate) fn admits(&mut self, row: &OutboxRow) -> bool {
        if self.rising.is_empty() {
            return true;
        }
        match self.rising.get_mut(&routing(row)) {
            None => true,
            Some(0) => false,
            Some(room) => {
                *room -= 1;
                true
            }
        }
    }

    /// A row that was with a publisher came back, and its destination has not judged it.
    pub(crate) fn returned(&mut self, row: &OutboxRow) {
        if !self.rising.is_empty()
            && let Some(room) = self.rising.get_mut(&routing(row))
        {
            *room += 1;
        }
    }

    /// Whether rows of an instance may have been passed over, to be read again when the destination is
    /// up.
    pub(crate) fn hold_any_of(&self, instance: &Instance) -> bool {
        self.down.iter().any(|(routing, down)| match routing {
            _ if matches!(down.probe, Probe::Trial) => false,
            Routing::Broadcast(cqrs_id) => *cqrs_id == instance.cqrs_id,
            Routing::Direct { cqrs_id, .. } => {
                *cqrs_id == instance.cqrs_id
                    && (down.instances.len() >= INSTANCES_REMEMBERED
                        || down.instances.contains(instance))
            }
        })
    }

    fn is_probe(&self, row: &OutboxRow) -> bool {
        self.down
            .values()
            .any(|down| matches!(down.probe, Probe::Out(id, _) if id == row.id))
    }

    /// A destination did not take a row.
    pub(crate) fn refused(&mut self, row: OutboxRow, now: Instant) -> Refusal {
        let retry = &self.retry;
        let routing = routing(&row);
        self.rising.remove(&routing);
        let down = self.down.entry(routing).or_insert_with(|| Down {
            attempts: 0,
            due: now,
            probe: Probe::Trial,
            instances: HashSet::new(),
        });
        if row.queue.is_some() {
            down.remember(&row.instance);
        }
        let refusal = match down.probe {
            Probe::Waiting(_) => return Refusal::Another(row),
            Probe::Out(id, _) if id != row.id => return Refusal::Another(row),
            Probe::Trial => Refusal::WentDown,
            Probe::Out(..) | Probe::Missing => Refusal::StillDown,
        };
        down.attempts = down.attempts.saturating_add(1);
        down.due = now + retry.delay(down.attempts).unwrap_or(retry.max);
        down.probe = Probe::Waiting(Box::new(row));
        refusal
    }

    /// A destination took a row. Answers whether it has come up by that, so that what was passed
    /// over must be read again.
    pub(crate) fn took(&mut self, row: &OutboxRow) -> bool {
        if self.down.is_empty() && self.rising.is_empty() {
            return false;
        }
        let routing = routing(row);
        if let Some(room) = self.rising.get_mut(&routing) {
            *room += 2;
            if *room >= ENOUGH {
                self.rising.remove(&routing);
            }
        }
        let came_up = match self.down.get(&routing).map(|down| &down.probe) {
            Some(Probe::Out(id, _)) if *id == row.id => true,
            Some(Probe::Trial) => false,
            _ => return false,
        };
        self.down.remove(&routing);
        if came_up {
            self.rising.insert(routing, FIRST);
        }
        came_up
    }

    /// The probes that are due, to be sent.
    pub(crate) fn due_probes(&mut self, now: Instant) -> Vec<OutboxRow> {
        let due = self.down.values_mut().filter(|down| down.due <= now);
        due.filter_map(|down| match &down.probe {
            Probe::Waiting(row) => {
                let out = Probe::Out(row.id, row.slot);
                down.take_probe(out)
            }
            _ => None,
        })
        .collect()
    }

    /// A row came back unsent. Answers the row, unless it was a probe, which waits again.
    pub(crate) fn unsent(&mut self, row: OutboxRow) -> Option<OutboxRow> {
        self.returned(&row);
        if let Some(down) = self.down.get_mut(&routing(&row))
            && matches!(down.probe, Probe::Out(id, _) if id == row.id)
        {
            down.probe = Probe::Waiting(Box::new(row));
            return None;
        }
        Some(row)
    }

    /// Forgets what is on its way.
    pub(crate) fn forget(&mut self) {
        for room in self.rising.values_mut() {
            *room = (*room).max(FIRST);
        }
        self.leave(|_| true);
    }

    /// Lets go of the probes of these slots, and answers those that waited.
    pub(crate) fn leave(&mut self, slots: impl Fn(Slot) -> bool) -> Vec<OutboxRow> {
        let ours = self.down.values_mut().filter(|down| match &down.probe {
            Probe::Waiting(row) => slots(row.slot),
            Probe::Out(_, slot) => slots(*slot),
            Probe::Missing | Probe::Trial => false,
        });
        ours.filter_map(|down| down.take_probe(Probe::Missing))
            .collect()
    }

    /// Puts those on trial that are due and have lost their probe. Answers whether there were any:
    /// what was passed over must be read again.
    pub(crate) fn try_probeless(&mut self, now: Instant) -> bool {
        let mut any = false;
        for (routing, down) in &mut self.down {
            if down.due <= now && matches!(down.probe, Probe::Missing) {
                self.rising.insert(routing.clone(), 1);
                down.probe = Probe::Trial;
                down.instances.clear();
                any = true;
            }
        }
        any
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let waits = |down: &&Down| matches!(down.probe, Probe::Waiting(_) | Probe::Missing);
        self.down.values().filter(waits).map(|down| down.due).min()
    }
}

impl Down {
    fn remember(&mut self, instance: &Instance) {
        if self.instances.len() < INSTANCES_REMEMBERED && !self.instances.contains(instance) {
            self.instances.insert(instance.clone());
        }
    }

    fn take_probe(&mut self, instead: Probe) -> Option<OutboxRow> {
        match std::mem::replace(&mut self.probe, instead) {
            Probe::Waiting(row) => Some(*row),
            Probe::Out(..) | Probe::Missing | Probe::Trial => None,
        }
    }
}

#[cfg(test)]
mod tests;
