//! Who should hold what.

use std::collections::{BTreeSet, HashMap};

use cqrs_core::{SLOTS, Slot};
use cqrs_outbox::{Epoch, Lease, Owner};

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
/// `living` is in owner order and holds `me`; `leaving` are slots that `me` is giving back already.
pub(crate) fn plan(
    me: Owner,
    living: &[Owner],
    leases: &[Lease],
    leaving: &BTreeSet<Slot>,
) -> Plan {
    let mut held: HashMap<Owner, Vec<Slot>> =
        living.iter().map(|owner| (*owner, Vec::new())).collect();
    let mut free = Vec::new();
    for lease in leases {
        match lease.owner.and_then(|owner| held.get_mut(&owner)) {
            Some(slots) => slots.push(lease.slot),
            None => free.push((lease.slot, lease.epoch)),
        }
    }
    let quotas = quotas(living, &held);

    // The free ones are dealt out in owner order.
    let mut free = free.into_iter();
    for owner in living {
        let missing = quotas[owner].saturating_sub(held[owner].len());
        let dealt = free.by_ref().take(missing);
        if *owner == me {
            return Plan {
                acquire: dealt.collect(),
                surplus: surplus(&quotas, &held, me, leaving),
            };
        }
        dealt.for_each(drop);
    }
    Plan::default()
}

/// How many slots each should hold. Those who hold most already get what does not divide.
fn quotas(living: &[Owner], held: &HashMap<Owner, Vec<Slot>>) -> HashMap<Owner, usize> {
    let each = usize::from(SLOTS) / living.len().max(1);
    let left_over = usize::from(SLOTS) % living.len().max(1);
    let mut by_holding = living.to_vec();
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
