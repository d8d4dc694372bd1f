//! What the writers did, kept by the test: the measure of what a replica may and must have.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use cqrs_core::Signal;

/// What a writer knows of how its transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The server has said that it is on the disk.
    Committed,
    RolledBack,
    /// The answer was lost, or the commit may be lost in a crash: `turn_done` knows.
    Unknown,
}

/// One event of `step` that a transaction has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) instance: String,
    pub(super) revision: i64,
    pub(super) signal: Signal,
}

#[derive(Debug)]
struct Turn {
    name: String,
    steps: Vec<Step>,
    end: End,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    turns: Mutex<Vec<Turn>>,
}

/// The ledger, settled: which transactions are committed.
pub(super) struct Settled {
    pub(super) committed: HashSet<String>,
    pub(super) attempted: usize,
    /// For each instance of `step` the events by revision that a handler is to see: signal and transaction.
    /// The delete of what is deleted already raises the tombstone alone.
    pub(super) steps: HashMap<String, BTreeMap<i64, (Signal, String)>>,
}

impl Ledger {
    pub(super) fn enter(&self, name: String, steps: Vec<Step>, end: End) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.push(Turn { name, steps, end });
    }

    pub(super) fn turns(&self) -> usize {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.len()
    }

    /// Settles what is unknown by what the master has in `turn_done`. No writer may be at work.
    pub(super) fn settle(&self, done: HashSet<String>) -> Result<Settled> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut steps: HashMap<String, BTreeMap<i64, (Signal, String)>> = HashMap::new();
        for turn in turns.iter_mut() {
            let end = if done.contains(&turn.name) {
                End::Committed
            } else {
                End::RolledBack
            };
            ensure!(
                turn.end == End::Unknown || turn.end == end,
                "{} was {:?} and is {end:?}: the master's database is wrong",
                turn.name,
                turn.end
            );
            turn.end = end;
            if end == End::RolledBack {
                continue;
            }
            for step in &turn.steps {
                let revisions = steps.entry(step.instance.clone()).or_default();
                let entry = (step.signal, turn.name.clone());
                let twice = revisions.insert(step.revision, entry);
                ensure!(twice.is_none(), "{step:?} was given twice: {twice:?}");
            }
        }
        for (instance, revisions) in &mut steps {
            let (last, _) = revisions.last_key_value().context("a revision")?;
            ensure!(
                usize::try_from(*last)? + 1 == revisions.len(),
                "step {instance}: revisions up to {last} for {} committed events",
                revisions.len()
            );
            let mut deleted = false;
            revisions.retain(|_, (signal, _)| {
                let before = std::mem::replace(&mut deleted, *signal == Signal::Delete);
                !(before && deleted)
            });
        }
        Ok(Settled {
            committed: done,
            attempted: turns.len(),
            steps,
        })
    }
}
