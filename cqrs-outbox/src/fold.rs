//! Several changes of one instance as one event.
//!
//! An instance's revision is raised at most once in a call, and as a rule once in a transaction, so
//! its changes become one: the last state, the first of the old values, the place of the first and
//! the identity of the last, or of what the transaction has recorded before. What they add up to:
//!
//! | so far \ then | save | delete | sync | sync to a queue | filtered out |
//! |---|---|---|---|---|---|
//! | nothing | save | delete | sync | (only that) | drop |
//! | save | save | delete | save | save | drop |
//! | delete | save | delete | save | save | delete |
//! | sync | save | delete | sync | sync | drop |
//! | drop | save | delete | save | save | drop |
//!
//! `drop` is a delete if the instance is live, and nothing otherwise. A sync to one queue is an
//! event beside this one, with the same state and revision, one for each queue, and so is a forced
//! sync: replicas that are ahead skip the save beside it. A delete or drop stands for those before it
//! as well.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use cqrs_core::{
    CqrsId, QueueName, Signal,
    json::Object,
    wire::{BodyTemplate, MAX_BODY},
};
use uuid::Uuid;

use crate::{
    Problem, RecordError, Recorder,
    about::About,
    change::{Draft, Filtered},
    entry::{Effect, Entry, Place},
    previous,
};

/// What to write, and which of it stands for each change.
#[derive(Debug)]
pub(crate) struct Folded {
    /// In the order of the changes.
    pub(crate) entries: Vec<Entry>,
    /// For each change the index of its entry; none for one whose model is not published.
    pub(crate) entry_of: Vec<Option<usize>>,
    /// The changes themselves, by instance.
    pub(crate) groups: Vec<Group>,
    /// For each entry the index of its group.
    pub(crate) group_of: Vec<usize>,
}

/// The changes of one instance, with their places in the call.
#[derive(Debug, Default)]
pub(crate) struct Group(pub(crate) Vec<(usize, Draft)>);

/// An event that changes add up to.
#[derive(Debug)]
pub(crate) struct Total {
    /// The changes of this call that it stands for, first to last.
    pub(crate) members: Vec<usize>,
    /// The row that it takes the place of.
    pub(crate) place: Option<Place>,
    pub(crate) entry: Entry,
}

/// Folds the changes of each instance, and checks the size of what comes out.
pub(crate) fn fold(changes: Vec<Draft>, recorder: &Recorder) -> Result<Folded, RecordError> {
    let count = changes.len();
    let mut places: HashMap<_, usize> = HashMap::with_capacity(count);
    let mut groups: Vec<Group> = Vec::with_capacity(count);
    for (index, change) in changes.into_iter().enumerate() {
        if !change.produced {
            continue;
        }
        let name = (change.cqrs_id.clone(), change.instance_pk.clone());
        let place = *places.entry(name).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group::default());
        }
        groups[place].0.push((index, change));
    }
    let mut totals = Vec::with_capacity(count);
    for (at, group) in groups.iter().enumerate() {
        let mut sum = Sum::default();
        for (index, change) in &group.0 {
            sum.add(Some(*index), change, None);
        }
        let events = sum.totals(recorder)?;
        totals.extend(events.into_iter().map(|total| (at, total)));
    }
    // By the first change of each: they are all different.
    totals.sort_unstable_by_key(|(_, total)| total.members.first().copied());
    let mut entry_of = vec![None; count];
    let mut entries = Vec::with_capacity(totals.len());
    let mut group_of = Vec::with_capacity(totals.len());
    for (group, total) in totals {
        for member in total.members {
            entry_of[member] = Some(entries.len());
        }
        entries.push(total.entry);
        group_of.push(group);
    }
    distinct(
        entries
            .iter()
            .map(|entry: &Entry| (entry.message_id, &entry.cqrs_id, &entry.instance_pk)),
    )?;
    Ok(Folded {
        entries,
        entry_of,
        groups,
        group_of,
    })
}

/// Refuses events that share an id.
pub(crate) fn distinct<'e>(
    events: impl Iterator<Item = (Uuid, &'e CqrsId, &'e String)>,
) -> Result<(), RecordError> {
    let mut seen = HashSet::new();
    for (id, cqrs_id, instance_pk) in events {
        if !seen.insert(id) {
            let problem = Problem::SameMessageId { id };
            return Err(RecordError::invalid(cqrs_id.as_str(), instance_pk, problem));
        }
    }
    Ok(())
}

/// What the changes of an instance add up to for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Outcome {
    #[default]
    Nothing,
    Save,
    Delete,
    Sync,
    Drop,
}

impl Outcome {
    fn then(self, change: &Draft) -> Self {
        match (self, change.signal) {
            (Self::Delete, _) if change.filtered() => Self::Delete,
            // It was published, recorded or not: a dump may have taken it to a replica.
            _ if change.filter == Filtered::Leaves => Self::Delete,
            _ if change.filtered() => Self::Drop,
            (_, Signal::Delete) => Self::Delete,
            (Self::Nothing, Signal::Sync) if change.queue.is_some() => Self::Nothing,
            (Self::Nothing | Self::Sync, Signal::Sync) => Self::Sync,
            (_, Signal::Save | Signal::Sync) => Self::Save,
        }
    }
}

/// The changes of an instance so far.
#[derive(Debug, Default)]
pub(crate) struct Sum<'d> {
    pub(crate) outcome: Outcome,
    data: Option<&'d str>,
    previous: Option<Cow<'d, Object>>,
    events: Vec<Pending<'d>>,
    /// Rows that nothing takes the place of.
    pub(crate) gone: Vec<Place>,
}

/// An event to everyone or to one queue.
#[derive(Debug)]
struct Pending<'d> {
    /// The last change of this event; the state is the instance's.
    change: &'d Draft,
    place: Option<Place>,
    members: Vec<usize>,
}

impl<'d> Sum<'d> {
    /// Adds a change: `index` of this call, or recorded before in the row at `place`.
    pub(crate) fn add(&mut self, index: Option<usize>, change: &'d Draft, place: Option<Place>) {
        let before = self.outcome;
        self.outcome = before.then(change);
        if change.filtered() || change.signal == Signal::Delete {
            self.previous = None;
            let mut pending = Pending {
                change,
                place,
                members: Vec::new(),
            };
            for event in self.events.drain(..) {
                pending.members.extend(event.members);
                match (event.place, pending.place) {
                    (Some(place), None) if event.change.queue.is_none() => {
                        pending.place = Some(place);
                    }
                    (Some(place), _) => self.gone.push(place),
                    (None, _) => {}
                }
            }
            pending.members.sort_unstable();
            pending.members.extend(index);
            self.events.push(pending);
            return;
        }
        self.previous = match (self.previous.take(), &change.previous) {
            (Some(older), newer) => {
                previous::merged(Some(older.into_owned()), newer.clone(), &change.object())
                    .map(Cow::Owned)
            }
            (None, newer) if matches!(before, Outcome::Nothing | Outcome::Sync) => {
                newer.as_ref().map(Cow::Borrowed)
            }
            // What the first one did not know, the later ones do not either: their old values are of
            // states that nobody has seen.
            (None, _) => None,
        };
        self.data = change.data.as_deref();
        let same = |event: &&mut Pending<'d>| {
            event.change.queue == change.queue && event.change.forced == change.forced
        };
        match self.events.iter_mut().find(same) {
            Some(event) => {
                event.change = change;
                event.members.extend(index);
                // Rows of one instance and revision that were recorded each on its own.
                match event.place {
                    Some(_) => self.gone.extend(place),
                    None => event.place = place,
                }
            }
            None => self.events.push(Pending {
                change,
                place,
                members: index.into_iter().collect(),
            }),
        }
    }

    /// The events.
    pub(crate) fn totals(&self, recorder: &Recorder) -> Result<Vec<Total>, RecordError> {
        let to_all = |event: &Pending<'_>| event.change.queue.is_none();
        let plain = |event: &Pending<'_>| to_all(event) && !event.change.forced;
        let events = || self.events.iter();
        let leader = events()
            .position(plain)
            .or_else(|| events().position(to_all));
        let leader = leader.unwrap_or(0);
        let events = self.events.iter().enumerate();
        events
            .map(|(at, pending)| {
                Ok(Total {
                    members: pending.members.clone(),
                    place: pending.place,
                    entry: self.entry(pending, at == leader, recorder)?,
                })
            })
            .collect()
    }

    fn entry(
        &self,
        pending: &Pending<'_>,
        leads: bool,
        recorder: &Recorder,
    ) -> Result<Entry, RecordError> {
        let change = pending.change;
        let signal = match self.outcome {
            // A delete stands for all; whether it was for one queue before does not matter.
            Outcome::Delete | Outcome::Drop => Signal::Delete,
            _ if change.queue.is_some() || change.forced => Signal::Sync,
            Outcome::Save => Signal::Save,
            Outcome::Sync | Outcome::Nothing => Signal::Sync,
        };
        let queue = match signal {
            Signal::Delete => None,
            Signal::Save | Signal::Sync => change.queue.as_ref(),
        };
        let previous = match signal {
            Signal::Save => self.previous.as_deref(),
            Signal::Delete | Signal::Sync => None,
        };
        let mut body = self.body(signal, queue, change, previous, recorder)?;
        // Old values that do not fit are left out, as if they were not known.
        if body.max_len() > MAX_BODY && previous.is_some() {
            body = self.body(signal, queue, change, None, recorder)?;
        }
        if body.max_len() > MAX_BODY {
            return Err(change.invalid(Problem::TooLong {
                len: body.max_len(),
            }));
        }
        Ok(Entry {
            message_id: pending
                .place
                .map_or(change.message_id, |place| place.message_id),
            cqrs_id: change.cqrs_id.clone(),
            instance_pk: change.instance_pk.clone(),
            signal,
            body,
            trace: change.trace.clone(),
            life: change.life(recorder),
            leads,
            effect: match signal {
                Signal::Sync => Effect::Carry {
                    forced: change.forced,
                },
                Signal::Save | Signal::Delete if self.outcome == Outcome::Drop => {
                    Effect::RaiseIfLive
                }
                Signal::Save | Signal::Delete => Effect::Raise,
            },
            queue: queue.cloned(),
        })
    }

    fn body(
        &self,
        signal: Signal,
        queue: Option<&QueueName>,
        change: &Draft,
        previous: Option<&Object>,
        recorder: &Recorder,
    ) -> Result<BodyTemplate, RecordError> {
        let Draft { cqrs_id, key, .. } = change;
        let (data, custom) = match signal {
            Signal::Delete => (None, change.custom.as_deref()),
            Signal::Save | Signal::Sync => (Some(self.data.unwrap_or("{}")), None),
        };
        let about = About {
            signal,
            cqrs_id,
            key,
            queue,
            data,
            custom,
            previous,
        };
        let mut body = match data {
            None => BodyTemplate::delete(cqrs_id, key, custom),
            Some(data) => {
                let previous = previous.map(Object::to_json);
                BodyTemplate::state(signal, cqrs_id, key, data, previous.as_deref())
            }
        };
        if let Some(id) = change.correlation_id(&about, recorder)? {
            body = body.with_correlation_id(&id);
        }
        if let Some(meta) = change.meta(&about, recorder)? {
            body = body.with_meta(&meta);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests;
