//! The instances that a batch touches.

use super::{backend::InstanceId, item::Item};
use crate::{LetterState, letter::OtherLetter, rules::Known};

/// An instance that a batch touches.
pub(super) struct Instance {
    pub(super) id: InstanceId,
    pub(super) known: Option<Known>,
    pub(super) changed: bool,
    /// Its open letters, as far as they matter here.
    pub(super) others: Vec<OtherLetter>,
    /// The revision that became a dead letter in this batch.
    pub(super) dead: Option<i64>,
}

impl Instance {
    /// The revision known, -1 if none is.
    pub(super) fn revision(&self) -> i64 {
        self.known.map_or(-1, |known| known.revision)
    }

    /// The revision whose turn it is.
    pub(super) fn next(&self) -> i64 {
        self.revision().saturating_add(1)
    }

    /// The waiting letter whose turn it is.
    pub(super) fn waiting_next(&self) -> Option<i64> {
        let next = self.next();
        self.others
            .iter()
            .find(|letter| letter.revision == Some(next) && letter.state == LetterState::Waiting)
            .and_then(|letter| letter.id)
    }
}

/// The instances of the items, and others, in the order in which every worker locks them; and the
/// place of each item's instance among them.
pub(super) fn instances<'i>(
    items: &[Item<'_>],
    others: impl Iterator<Item = &'i InstanceId>,
) -> (Vec<InstanceId>, Vec<Option<usize>>) {
    let mut named: Vec<(InstanceId, Option<usize>)> = items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            let event = item.event()?;
            Some(((event.cqrs_id.clone(), event.key.canonical()), Some(at)))
        })
        .chain(others.map(|id| (id.clone(), None)))
        .collect();
    named.sort_unstable();
    let mut ids: Vec<InstanceId> = Vec::with_capacity(named.len());
    let mut places = vec![None; items.len()];
    for (id, at) in named {
        if ids.last() != Some(&id) {
            ids.push(id);
        }
        if let Some(at) = at {
            places[at] = Some(ids.len() - 1);
        }
    }
    (ids, places)
}
