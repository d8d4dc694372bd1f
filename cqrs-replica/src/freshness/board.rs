//! Who waits for what, and when each asks again.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cqrs_core::{Revision, StoreError};
use tokio::{sync::Notify, time::Instant};

use super::{InstanceId, MissingEvent};

/// The pauses between the looks for one who waits.
const FIRST_PAUSE: Duration = Duration::from_millis(3);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// An event that is waited for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) instance: InstanceId,
    pub(super) revision: Revision,
}

impl Wanted {
    /// Whether there can be such an instance. Who sends a token may have made it up, and a database that
    /// cannot read one key answers nobody.
    fn can_exist(&self) -> bool {
        !self.instance.1.contains('\0')
    }
}

impl From<Wanted> for MissingEvent {
    fn from(wanted: Wanted) -> Self {
        let (cqrs_id, instance_pk) = wanted.instance;
        Self {
            cqrs_id,
            instance_pk,
            revision: wanted.revision,
            letter: None,
        }
    }
}

/// All who wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Board {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_id: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// What is still missing.
    missing: Vec<Wanted>,
    /// From when on a look that happens anyway asks for it too. So those who have waited for long, and ask
    /// seldom, come to ask together.
    early: Instant,
    /// When it wants a look.
    due: Instant,
    /// How long it waits after the next one.
    pause: Duration,
    /// Why the last look failed.
    failure: Option<Arc<StoreError>>,
    answer: Option<Result<(), Arc<StoreError>>>,
    answered: Arc<Notify>,
}

impl Entry {
    fn postpone(&mut self, now: Instant) {
        self.early = now + self.pause / 2;
        self.due = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
    }

    fn finish(&mut self, answer: Result<(), Arc<StoreError>>) {
        self.answer = Some(answer);
        self.answered.notify_one();
    }
}

impl Board {
    /// Enters one who waits.
    pub(super) fn join(&self, missing: Vec<Wanted>) -> Waiting<'_> {
        let now = Instant::now();
        let answered = Arc::new(Notify::new());
        let entry = Entry {
            missing,
            early: now,
            due: now,
            pause: FIRST_PAUSE,
            failure: None,
            answer: None,
            answered: Arc::clone(&answered),
        };
        let mut entries = self.entries();
        let id = entries.next;
        entries.next += 1;
        entries.by_id.insert(id, entry);
        Waiting {
            board: self,
            id,
            answered,
        }
    }

    /// Whom a look now is for, and what they want.
    pub(super) fn asked(&self, now: Instant) -> Asked {
        let mut asked = Asked::default();
        for (&id, entry) in &self.entries().by_id {
            if entry.early > now || entry.answer.is_some() {
                continue;
            }
            asked.by.push(id);
            for wanted in entry.missing.iter().filter(|wanted| wanted.can_exist()) {
                let next = asked.places.len();
                asked.places.entry(wanted.instance.clone()).or_insert(next);
            }
        }
        asked
    }

    /// Tells them what the database said.
    pub(super) fn answer(
        &self,
        asked: Asked,
        answer: Result<Vec<Option<i64>>, StoreError>,
        now: Instant,
    ) {
        let answer = answer.map_err(Arc::new);
        let mut entries = self.entries();
        for id in asked.by {
            let Some(entry) = entries.by_id.get_mut(&id) else {
                continue;
            };
            match &answer {
                Ok(revisions) => {
                    entry.failure = None;
                    entry.missing.retain(|wanted| {
                        let place = asked.places.get(&wanted.instance);
                        let found = place.and_then(|&place| *revisions.get(place)?);
                        found.is_none_or(|found| found < wanted.revision.0)
                    });
                    if entry.missing.is_empty() {
                        entry.finish(Ok(()));
                    } else {
                        entry.postpone(now);
                    }
                }
                Err(error) if error.is_transient() => {
                    entry.failure = Some(Arc::clone(error));
                    entry.postpone(now);
                }
                Err(error) => entry.finish(Err(Arc::clone(error))),
            }
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries().by_id.len()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whom a look is.
#[derive(Debug, Default)]
pub(super) struct Asked {
    by: Vec<u64>,
    places: HashMap<InstanceId, usize>,
}

impl Asked {
    /// The instances, each once, in the order of their places.
    pub(super) fn instances(&self) -> Vec<&InstanceId> {
        let mut instances: Vec<_> = self.places.iter().collect();
        instances.sort_unstable_by_key(|(_, place)| **place);
        instances
            .into_iter()
            .map(|(instance, _)| instance)
            .collect()
    }
}

/// One who waits; forgotten when dropped.
#[derive(Debug)]
pub(super) struct Waiting<'b> {
    board: &'b Board,
    id: u64,
    answered: Arc<Notify>,
}

impl Waiting<'_> {
    /// When its turn comes.
    pub(super) fn due(&self) -> Instant {
        let entries = self.board.entries();
        let entry = entries.by_id.get(&self.id);
        entry.map_or_else(Instant::now, |entry| entry.due)
    }

    pub(super) fn answer(&self) -> Option<Result<(), Arc<StoreError>>> {
        let entries = self.board.entries();
        entries.by_id.get(&self.id)?.answer.clone()
    }

    /// Returns once there is an answer.
    pub(super) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Gives up.
    ///
    /// # Errors
    /// There is an answer in place of what is missing.
    pub(super) fn leave(&self) -> Result<Vec<Wanted>, Result<(), Arc<StoreError>>> {
        let mut entries = self.board.entries();
        let Some(entry) = entries.by_id.get_mut(&self.id) else {
            return Ok(Vec::new());
        };
        match (entry.answer.take(), entry.failure.take()) {
            (Some(answer), _) => Err(answer),
            (None, Some(failure)) => Err(Err(failure)),
            (None, None) => Ok(mem::take(&mut entry.missing)),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.board.entries().by_id.remove(&self.id);
    }
}
