//! Who should hold what.

use std::collections::{BTreeSet, HashMap};

use cqrs_core::{SLOTS, Slot};
use cqrs_outbox::{Epoch, Lease, Owner};

use crate::peers::Living;

/// What one relay does to come nearer to its fair share.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Free slots to take, under the epochs seen.
    pub(crate) acquire: Vec<(Slot, Epoch)>,
    /// Own slots to give back once nothing of theirs is in flight.
    pub(crate) surplus: Vec<Slot>,
}

/// The plan of `me`. All relays that see the same come to plans that do not collide, and when no
/// two shares differ by more than one slot nobody moves.
///
/// A relay that cannot do its work takes nothing, and gives back all it has as soon as there is one
/// that can. `leaving` are slots that `me` is giving back already.
pub(crate) fn plan(me: Owner, living: &Living, leases: &[Lease], leaving: &BTreeSet<Slot>) -> Plan {
    let mut held: HashMap<Owner, Vec<Slot>> = living
        .owners
        .iter()
        .map(|owner| (*owner, Vec::new()))
        .collect();
    let mut free = Vec::new();
    for lease in leases {
        match lease.owner.and_then(|owner| held.get_mut(&owner)) {
            Some(slots) => slots.push(lease.slot),
            None => free.push((lease.slot, lease.epoch)),
        }
    }
    let able = &living.publishing;
    if able.is_empty() {
        return Plan::default();
    }
    let mut quotas = quotas(able, &held);
    quotas.entry(me).or_insert(0);
    let surplus = surplus(&quotas, &held, me, leaving);

    // The free ones are dealt out in owner order.
    let mut free = free.into_iter();
    for owner in able {
        let missing = quotas[owner].saturating_sub(held[owner].len());
        let dealt = free.by_ref().take(missing);
        if *owner == me {
            let acquire = dealt.collect();
            return Plan { acquire, surplus };
        }
        dealt.for_each(drop);
    }
    Plan {
        acquire: Vec::new(),
        surplus,
    }
}

/// How many slots each should hold. Those who hold most already get what does not divide.
fn quotas(able: &[Owner], held: &HashMap<Owner, Vec<Slot>>) -> HashMap<Owner, usize> {
    let each = usize::from(SLOTS) / able.len().max(1);
    let left_over = usize::from(SLOTS) % able.len().max(1);
    let mut by_holding = able.to_vec();
    by_holding.sort_by_key(|owner| std::cmp::Reverse(held[owner].len()));
    let quota = |(rank, owner)| (owner, each + usize::from(rank < left_over));
    by_holding.into_iter().enumerate().map(quota).collect()
}

fn surplus(
    quotas: &HashMap<Owner, usize>,
    held: &HashMap<Owner, Vec<Slot>>,
    me: Owner,
    leaving: &BTreeSet<Slot>,
) -> Vec<Slot> {
    let staying: Vec<_> = held[&me]
        .iter()
        .filter(|slot| !leaving.contains(slot))
        .collect();
    let too_many = staying.len().saturating_sub(quotas[&me]);
    staying.into_iter().rev().take(too_many).copied().collect()
}

#[cfg(test)]
mod tests;
