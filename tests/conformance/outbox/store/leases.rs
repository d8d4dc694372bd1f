//! Who is there and who holds what.

use cqrs_outbox::{OutboxSession, Owner};

use super::fixture::{Fixture, Holder, LEASE, fresh_id, seen, slot};

pub(super) async fn a_beat_shows_everyone<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let (one, two) = (Owner(fresh_id()), Owner(fresh_id()));
    let in_order = [Owner(one.0.min(two.0)), Owner(one.0.max(two.0))];
    let census = session.beat(one, LEASE, true).await.unwrap();
    assert_eq!(census.relays.len(), 1);
    assert_eq!(census.leases.len(), 64);
    assert!(census.leases.iter().all(|lease| lease.owner.is_none()));
    assert!(
        census
            .leases
            .iter()
            .zip(0..)
            .all(|(lease, n)| lease.slot.number() == n)
    );

    let mut other = fixture.session().await;
    other.beat(two, LEASE, true).await.unwrap();
    let before = census.relays[0].beat;
    let census = session.beat(one, LEASE, true).await.unwrap();
    assert_eq!(
        census
            .relays
            .iter()
            .map(|relay| relay.owner)
            .collect::<Vec<_>>(),
        in_order
    );
    assert!(census.relays.iter().all(|relay| relay.live));
    let again = census
        .relays
        .iter()
        .find(|relay| relay.owner == one)
        .unwrap();
    assert!(again.beat > before);
}

pub(super) async fn of_two_acquirers_one_wins<F: Fixture>(fixture: F) {
    let (mut a, mut b) = (fixture.session().await, fixture.session().await);
    let (one, two) = (Owner(fresh_id()), Owner(fresh_id()));
    let census = a.beat(one, LEASE, true).await.unwrap();
    let free = seen(&census);
    b.beat(two, LEASE, true).await.unwrap();
    let (by_a, by_b) = tokio::join!(a.acquire(one, &free), b.acquire(two, &free));
    let (by_a, by_b) = (by_a.unwrap(), by_b.unwrap());
    assert_eq!(by_a.len() + by_b.len(), 64);
    for (slot, _) in &by_a {
        assert!(
            by_b.iter().all(|(other, _)| other != slot),
            "{slot:?} has two holders"
        );
    }
    let census = a.beat(one, LEASE, true).await.unwrap();
    for lease in &census.leases {
        let holder = if by_a.contains(&(lease.slot, lease.epoch)) {
            one
        } else {
            two
        };
        assert_eq!(lease.owner, Some(holder));
    }
    // Seen long ago: too late for both.
    assert!(a.acquire(one, &free).await.unwrap().is_empty());
    assert!(b.acquire(two, &free).await.unwrap().is_empty());
}

pub(super) async fn a_lapsed_relay_is_not_live_and_may_be_succeeded<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let old = Holder::of_all(&mut session).await;
    fixture.expire(old.owner).await;
    let mut other = fixture.session().await;
    let new = Owner(fresh_id());
    let census = other.beat(new, LEASE, true).await.unwrap();
    let lapsed = census
        .relays
        .iter()
        .find(|relay| relay.owner == old.owner)
        .unwrap();
    assert!(!lapsed.live);
    assert_eq!(census.leases[0].owner, Some(old.owner));
    assert_eq!(other.acquire(new, &seen(&census)).await.unwrap().len(), 64);
}

pub(super) async fn a_beat_in_between_keeps_the_slots<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let old = Holder::of_all(&mut session).await;
    let mut other = fixture.session().await;
    let new = Owner(fresh_id());
    // The peer judges by its own clock that the holder is dead, which then beats after all.
    let census = other.beat(new, LEASE, true).await.unwrap();
    session.beat(old.owner, LEASE, true).await.unwrap();
    assert!(other.acquire(new, &seen(&census)).await.unwrap().is_empty());
    // Had it not, the peer would have been right.
    let census = other.beat(new, LEASE, true).await.unwrap();
    assert_eq!(other.acquire(new, &seen(&census)).await.unwrap().len(), 64);
    let census = session.beat(old.owner, LEASE, true).await.unwrap();
    assert!(census.leases.iter().all(|lease| lease.owner == Some(new)));
}

pub(super) async fn a_beat_after_the_lease_costs_all_slots<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let old = Holder::of_all(&mut session).await;
    let mut other = fixture.session().await;
    let new = Owner(fresh_id());
    fixture.expire(old.owner).await;
    let judged = other.beat(new, LEASE, true).await.unwrap();
    let census = session.beat(old.owner, LEASE, true).await.unwrap();
    assert!(census.leases.iter().all(|lease| lease.owner.is_none()));
    assert!(census.relays.iter().all(|relay| relay.live));
    // The judgement fits nothing any more.
    assert!(other.acquire(new, &seen(&judged)).await.unwrap().is_empty());
    let lost = session
        .settle(&cqrs_outbox::Settlement::default(), &old.held)
        .await
        .unwrap()
        .lost;
    assert_eq!(lost.len(), 64);
    assert_eq!(
        session
            .acquire(old.owner, &seen(&census))
            .await
            .unwrap()
            .len(),
        64
    );
}

pub(super) async fn released_slots_are_free<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    session
        .release(holder.owner, &holder.held[3..5])
        .await
        .unwrap();
    let census = session.beat(holder.owner, LEASE, true).await.unwrap();
    let free: Vec<_> = census
        .leases
        .iter()
        .filter(|lease| lease.owner.is_none())
        .collect();
    assert_eq!(
        free.iter().map(|lease| lease.slot).collect::<Vec<_>>(),
        [slot(3), slot(4)]
    );
    assert!(free.iter().all(|lease| lease.epoch > holder.held[3].1));
    // Not under an old epoch, and not for someone else.
    session
        .release(Owner(fresh_id()), &holder.held[..3])
        .await
        .unwrap();
    session
        .release(holder.owner, &seen(&census)[3..5])
        .await
        .unwrap();
    let again = session.beat(holder.owner, LEASE, true).await.unwrap();
    assert_eq!(seen(&again), seen(&census));
}

pub(super) async fn a_relay_that_retires_is_forgotten<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    session.retire(holder.owner).await.unwrap();
    let other = Owner(fresh_id());
    let census = session.beat(other, LEASE, true).await.unwrap();
    assert_eq!(
        census
            .relays
            .iter()
            .map(|relay| relay.owner)
            .collect::<Vec<_>>(),
        [other]
    );
    assert!(census.leases.iter().all(|lease| lease.owner.is_none()));
    session.retire(holder.owner).await.unwrap();
}

pub(super) async fn slots_that_are_missing_are_restored<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    fixture
        .execute("delete from cqrs_relay_lease where slot > 2")
        .await;
    assert_eq!(session.backlog().await.unwrap().census.leases.len(), 3);
    let census = session.beat(holder.owner, LEASE, true).await.unwrap();
    assert_eq!(census.leases.len(), 64);
    let (kept, restored) = census.leases.split_at(3);
    assert!(kept.iter().all(|lease| lease.owner == Some(holder.owner)));
    // Under epochs that nobody has held before.
    assert!(restored.iter().all(|lease| lease.owner.is_none()));
    let lost = session
        .settle(&cqrs_outbox::Settlement::default(), &holder.held)
        .await
        .unwrap()
        .lost;
    assert_eq!(lost.len(), 61);
    assert!(restored.iter().all(|lease| lease.epoch > holder.held[0].1));
    let free = &seen(&census)[3..];
    assert_eq!(session.acquire(holder.owner, free).await.unwrap().len(), 61);
}
