//! Several changes of one instance as one event.
//!
//! An instance's revision is raised at most once in a call, so its changes become one: the last
//! state, the first of the old values, the place of the first and the identity of the last. What
//! they add up to:
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
//! event beside this one, with the same state and revision, one for each queue; a delete or drop
//! stands for those before it as well.

use std::{collections::HashMap, mem};

use cqrs_core::{
    QueueName, Signal,
    json::Object,
    wire::{BodyTemplate, MAX_BODY},
};

use crate::{
    Problem, RecordError,
    change::Draft,
    entry::{Effect, Entry},
    previous,
};

/// What to write, and which of it stands for each change.
#[derive(Debug)]
pub(crate) struct Folded {
    /// In the order of the changes.
    pub(crate) entries: Vec<Entry>,
    /// For each change the index of its entry.
    pub(crate) entry_of: Vec<usize>,
}

/// Folds the changes of each instance, and checks the size of what comes out.
pub(crate) fn fold(changes: Vec<Draft>) -> Result<Folded, RecordError> {
    let count = changes.len();
    let mut places: HashMap<_, usize> = HashMap::with_capacity(count);
    let mut instances: Vec<Instance> = Vec::with_capacity(count);
    for (index, change) in changes.into_iter().enumerate() {
        let name = (change.cqrs_id.clone(), change.instance_pk.clone());
        let place = *places.entry(name).or_insert(instances.len());
        if place == instances.len() {
            instances.push(Instance::default());
        }
        instances[place].add(index, change);
    }
    let mut events = Vec::with_capacity(count);
    for instance in instances {
        instance.finish(&mut events)?;
    }
    // By the first change of each: they are all different.
    events.sort_unstable_by_key(|(members, _)| members.first().copied());
    let mut entry_of = vec![0; count];
    let mut entries = Vec::with_capacity(events.len());
    for (members, entry) in events {
        for member in members {
            entry_of[member] = entries.len();
        }
        entries.push(entry);
    }
    Ok(Folded { entries, entry_of })
}

/// What the changes of an instance add up to for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Outcome {
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
            (Self::Delete, _) if change.filtered => Self::Delete,
            _ if change.filtered => Self::Drop,
            (_, Signal::Delete) => Self::Delete,
            (Self::Nothing, Signal::Sync) if change.queue.is_some() => Self::Nothing,
            (Self::Nothing | Self::Sync, Signal::Sync) => Self::Sync,
            (_, Signal::Save | Signal::Sync) => Self::Save,
        }
    }
}

/// The changes of an instance so far.
#[derive(Debug, Default)]
struct Instance {
    outcome: Outcome,
    data: Option<String>,
    previous: Option<Object>,
    events: Vec<Pending>,
}

/// An event to everyone or to one queue.
#[derive(Debug)]
struct Pending {
    queue: Option<QueueName>,
    /// The last change of this event; the state is the instance's.
    change: Draft,
    /// The changes it stands for, first to last.
    members: Vec<usize>,
}

impl Instance {
    fn add(&mut self, index: usize, mut change: Draft) {
        self.outcome = self.outcome.then(&change);
        if change.filtered || change.signal == Signal::Delete {
            self.previous = None;
            let mut members: Vec<_> = self
                .events
                .drain(..)
                .flat_map(|event| event.members)
                .collect();
            members.sort_unstable();
            members.push(index);
            self.events.push(Pending {
                queue: None,
                change,
                members,
            });
            return;
        }
        let (older, newer) = (self.previous.take(), change.previous.take());
        self.previous = match older {
            Some(_) => previous::merged(older, newer, &change.object()),
            None => newer,
        };
        self.data = change.data.take();
        let queue = change.queue.clone();
        match self.events.iter_mut().find(|event| event.queue == queue) {
            Some(event) => {
                event.change = change;
                event.members.push(index);
            }
            None => self.events.push(Pending {
                queue,
                change,
                members: vec![index],
            }),
        }
    }

    fn finish(mut self, entries: &mut Vec<(Vec<usize>, Entry)>) -> Result<(), RecordError> {
        let to_all = self.events.iter().position(|event| event.queue.is_none());
        for (at, pending) in mem::take(&mut self.events).into_iter().enumerate() {
            let leads = at == to_all.unwrap_or(0);
            entries.push(self.entry(pending, leads)?);
        }
        Ok(())
    }

    fn entry(&self, pending: Pending, leads: bool) -> Result<(Vec<usize>, Entry), RecordError> {
        let Pending {
            queue,
            change,
            members,
        } = pending;
        let signal = match self.outcome {
            _ if queue.is_some() => Signal::Sync,
            Outcome::Save => Signal::Save,
            Outcome::Delete | Outcome::Drop => Signal::Delete,
            Outcome::Sync | Outcome::Nothing => Signal::Sync,
        };
        let body = self.body(signal, &change);
        if body.max_len() > MAX_BODY {
            return Err(change.invalid(Problem::TooLong {
                len: body.max_len(),
            }));
        }
        let entry = Entry {
            message_id: change.message_id,
            cqrs_id: change.cqrs_id,
            instance_pk: change.instance_pk,
            signal,
            body,
            trace: change.trace,
            ttl: change.ttl,
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
            queue,
        };
        Ok((members, entry))
    }

    fn body(&self, signal: Signal, change: &Draft) -> BodyTemplate {
        let Draft { cqrs_id, key, .. } = change;
        let mut body = if signal == Signal::Delete {
            BodyTemplate::delete(cqrs_id, key, change.custom.as_deref())
        } else {
            let previous = match signal {
                Signal::Save => self.previous.as_ref().map(Object::to_json),
                Signal::Delete | Signal::Sync => None,
            };
            let data = self.data.as_deref().unwrap_or("{}");
            BodyTemplate::state(signal, cqrs_id, key, data, previous.as_deref())
        };
        if let Some(id) = &change.correlation_id {
            body = body.with_correlation_id(id);
        }
        if let Some(meta) = &change.meta {
            body = body.with_meta(meta);
        }
        body
    }
}

#[cfg(test)]
mod tests;
