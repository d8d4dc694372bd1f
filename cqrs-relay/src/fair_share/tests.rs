use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn owner(n: u16) -> Owner {
    Owner(Uuid::from_u128(u128::from(n) + 1))
}

fn all_able(owners: &[Owner]) -> Living {
    Living {
        owners: owners.to_vec(),
        publishing: owners.to_vec(),
        falters: false,
    }
}

/// Leases as a database has them, with every relay following its plan.
struct World {
    leases: Vec<Lease>,
}

impl World {
    fn new(holders: impl Iterator<Item = Option<u16>>) -> Self {
        let leases = Slot::all()
            .zip(holders)
            .map(|(slot, holder)| Lease {
                slot,
                owner: holder.map(owner),
                epoch: Epoch(0),
            })
            .collect();
        Self { leases }
    }

    /// One round; answers whether anything moved.
    fn round(&mut self, living: &[Owner]) -> bool {
        self.round_of(&all_able(living))
    }

    fn round_of(&mut self, living: &Living) -> bool {
        let plans: Vec<_> = living
            .owners
            .iter()
            .map(|me| (*me, plan(*me, living, &self.leases, &BTreeSet::new())))
            .collect();
        let mut moved = false;
        for (me, plan) in plans {
            for slot in plan.surplus {
                let lease = &mut self.leases[usize::from(slot.number())];
                assert_eq!(lease.owner, Some(me), "gives back only what is its own");
                lease.owner = None;
                moved = true;
            }
            for (slot, epoch) in plan.acquire {
                let lease = &mut self.leases[usize::from(slot.number())];
                assert_eq!(lease.epoch, epoch, "nobody else takes the same slot");
                *lease = Lease {
                    slot,
                    owner: Some(me),
                    epoch: Epoch(epoch.0 + 1),
                };
                moved = true;
            }
        }
        moved
    }

    fn settle(&mut self, living: &[Owner]) -> usize {
        (0..10)
            .find(|_| !self.round(living))
            .expect("comes to rest")
    }

    fn shares(&self, living: &[Owner]) -> Vec<usize> {
        let of = |me| {
            self.leases
                .iter()
                .filter(|lease| lease.owner == Some(me))
                .count()
        };
        living.iter().map(|me| of(*me)).collect()
    }
}

proptest! {
    #[test]
    fn all_slots_are_held_in_shares_within_one_and_then_nobody_moves(
        holders in proptest::collection::vec(proptest::option::of(0_u16..8), usize::from(SLOTS)),
        relays in 1_u16..8,
    ) {
        let living: Vec<_> = (0..relays).map(owner).collect();
        let mut world = World::new(holders.into_iter());
        world.settle(&living);
        let shares = world.shares(&living);
        prop_assert_eq!(shares.iter().sum::<usize>(), usize::from(SLOTS));
        let (min, max) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert!(max - min <= 1, "{:?}", shares);
        prop_assert!(!world.round(&living));
    }

    #[test]
    fn shares_that_are_fair_already_stay(first in 0_u16..3) {
        // 22, 21 and 21, whoever has the 22.
        let living: Vec<_> = (0..3).map(owner).collect();
        let mut world = World::new((0..SLOTS).map(|n| Some((n + first) % 3)));
        prop_assert!(!world.round(&living));
    }
}

#[test]
fn a_joiner_gets_its_share_in_two_rounds_and_a_leavers_slots_are_taken_in_one() {
    let mut world = World::new((0..SLOTS).map(|_| Some(0)));
    let both = [owner(0), owner(1)];
    assert_eq!(world.settle(&both), 2);
    assert_eq!(world.shares(&both), [32, 32]);
    assert_eq!(world.settle(&both[1..]), 1);
    assert_eq!(world.shares(&both[1..]), [64]);
}

#[test]
fn slots_on_their_way_out_are_not_given_back_twice() {
    let world = World::new((0..SLOTS).map(|_| Some(0)));
    let leaving: BTreeSet<_> = Slot::all().skip(40).collect();
    let both = all_able(&[owner(0), owner(1)]);
    let plan = plan(owner(0), &both, &world.leases, &leaving);
    assert_eq!(plan.surplus.len(), 8);
    assert!(plan.surplus.iter().all(|slot| !leaving.contains(slot)));
}

#[test]
fn more_relays_than_slots_leave_some_without() {
    let living: Vec<_> = (0..100).map(owner).collect();
    let mut world = World::new((0..SLOTS).map(|_| None));
    world.settle(&living);
    assert!(world.shares(&living).iter().all(|share| *share <= 1));
}

#[test]
fn a_relay_that_cannot_work_gives_all_back_and_takes_nothing() {
    let mut world = World::new((0..SLOTS).map(|n| Some(n % 2)));
    let both = [owner(0), owner(1)];
    let mut living = all_able(&both);
    living.publishing = vec![owner(1)];
    // What one that lives still holds is not free.
    let theirs = plan(owner(1), &living, &world.leases, &BTreeSet::new());
    assert_eq!(theirs, Plan::default());
    while world.round_of(&living) {}
    assert_eq!(world.shares(&both), [0, 64]);
    world.settle(&both);
    assert_eq!(world.shares(&both), [32, 32]);
}

#[test]
fn when_none_can_work_nobody_moves() {
    let mut world = World::new((0..SLOTS).map(|n| (n % 2 == 0).then_some(0)));
    let mut living = all_able(&[owner(0), owner(1)]);
    living.publishing.clear();
    assert!(!world.round_of(&living));
}
