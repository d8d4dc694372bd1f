//! A database that is away, or in the way.

use std::time::Duration;

use cqrs_core::{
    StoreError,
    transport::{Ack, DeliveryTag},
};
use tokio::time::Instant;

use super::{
    Running,
    fake::{Fake, Step, Turn, delivery},
    one, reason,
};

#[tokio::test(start_paused = true)]
async fn a_lost_database_is_waited_for_and_nothing_is_acknowledged_meanwhile() {
    let fake = Fake::new();
    let kinds: [fn() -> StoreError; 4] = [
        || StoreError::Unavailable(reason()),
        || StoreError::Conflict(reason()),
        || StoreError::Schema {
            problem: "a table was dropped".to_owned(),
            source: None,
        },
        || StoreError::Backend(reason()),
    ];
    fake.turns((0..40).map(|turn| Turn::Fail(kinds[turn % kinds.len()]())));
    // The last kind is the message's own in an aside; the others are not.
    fake.refuse_asides((0..40).map(|turn| kinds[turn % 3]()));
    let broker = fake.subscriber();
    (1..=3).for_each(|revision| broker.send(Ok(delivery(revision))).unwrap());
    let running = Running::start(&fake);
    fake.reached("all acknowledged", |steps| {
        let acked = |step: &&Step| matches!(step, Step::Acked(0, Ack::One(tag) | Ack::UpTo(tag)) if tag.0 == 3);
        steps.iter().any(|step| acked(&step))
    })
    .await;
    let applied: Vec<i64> = fake
        .steps()
        .into_iter()
        .filter_map(|step| {
            if let Step::Applied(revisions) = step {
                Some(revisions)
            } else {
                None
            }
        })
        .flatten()
        .collect();
    assert_eq!(applied, [1, 2, 3]);
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_alone_again_and_again_is_set_aside() {
    for error in [StoreError::Unavailable, StoreError::Conflict] {
        let fake = Fake::new();
        // All, all, half, and the first alone.
        fake.turns((0..4).map(|_| Turn::Fail(error(reason()))));
        let broker = fake.subscriber();
        (1..=4).for_each(|revision| broker.send(Ok(delivery(revision))).unwrap());
        let running = Running::start(&fake);
        fake.does(Step::Applied(vec![4])).await;
        running.drained().await;
        let done: Vec<_> = fake
            .steps()
            .into_iter()
            .filter(|step| matches!(step, Step::Applied(_) | Step::SetAside(_)))
            .collect();
        let expected = [
            Step::SetAside(1),
            Step::Applied(vec![2, 3]),
            Step::Applied(vec![4]),
        ];
        assert_eq!(done, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_database_never_keeps_lets_the_others_go_first() {
    let fake = Fake::new();
    fake.turns((0..4).map(|_| Turn::Fail(StoreError::Unavailable(reason()))));
    fake.refuse_asides([StoreError::Backend(reason())]);
    let broker = fake.subscriber();
    (1..=2).for_each(|revision| broker.send(Ok(delivery(revision))).unwrap());
    let running = Running::start(&fake);
    fake.does(Step::Applied(vec![1])).await;
    running.drained().await;
    let mut steps = fake.steps().into_iter();
    let first = steps.find(|step| matches!(step, Step::Applied(_)));
    assert_eq!(first, Some(Step::Applied(vec![2])));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_cannot_be_reached_sets_nothing_aside() {
    let fake = Fake::new();
    let broker = fake.subscriber();
    let running = Running::start(&fake);
    broker.send(Ok(delivery(1))).unwrap();
    fake.does(Step::Acked(0, one(1))).await;
    // After each failure there is no connection for a while.
    let lost = || StoreError::Unavailable(reason());
    fake.turns((0..20).map(|_| Turn::Fail(lost())));
    fake.sessions((0..20).flat_map(|_| [Err(lost()), Ok(())]));
    broker.send(Ok(delivery(2))).unwrap();
    fake.does(Step::Applied(vec![2])).await;
    running.drained().await;
    assert_eq!(fake.count(&Step::SetAside(2)), 0);
}

#[tokio::test(start_paused = true)]
async fn without_its_database_a_worker_gives_its_messages_back() {
    let fake = Fake::new();
    let first = fake.subscriber();
    let running = Running::start(&fake);
    first.send(Ok(delivery(1))).unwrap();
    fake.does(Step::Acked(0, one(1))).await;
    fake.database_is_away(true);
    let began = Instant::now();
    (2..=9).for_each(|revision| first.send(Ok(delivery(revision))).unwrap());
    fake.does(Step::Closed(0)).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // It takes no others meanwhile.
    let second = fake.subscriber();
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(fake.count(&Step::Subscribed(1)), 0);
    fake.database_is_away(false);
    fake.does(Step::Subscribed(1)).await;
    let mut again = delivery(2);
    again.tag = DeliveryTag(1);
    second.send(Ok(again)).unwrap();
    fake.does(Step::Acked(1, one(1))).await;
    running.drained().await;
    // Nothing of what it has given back was applied.
    let applied = |step: &Step| matches!(step, Step::Applied(_));
    let applied: Vec<_> = fake.steps().into_iter().filter(applied).collect();
    assert_eq!(applied, [Step::Applied(vec![1]), Step::Applied(vec![2])]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_has_given_all_back_stops_well_without_its_database() {
    let fake = Fake::new();
    let broker = fake.subscriber();
    let running = Running::start(&fake);
    fake.does(Step::Subscribed(0)).await;
    fake.database_is_away(true);
    broker.send(Ok(delivery(1))).unwrap();
    fake.does(Step::Closed(0)).await;
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_repeated_at_once() {
    let fake = Fake::new();
    fake.turns((0..3).map(|_| Turn::Fail(StoreError::Conflict(reason()))));
    fake.subscriber().send(Ok(delivery(1))).unwrap();
    let began = Instant::now();
    let running = Running::start(&fake);
    fake.does(Step::Acked(0, one(1))).await;
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    running.drained().await;
    assert_eq!(fake.count(&Step::Applied(vec![1])), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_start_a_database_that_is_away_is_waited_for() {
    let fake = Fake::new();
    fake.refuse_models(StoreError::Unavailable(reason()));
    fake.subscriber().send(Ok(delivery(1))).unwrap();
    let running = Running::start(&fake);
    fake.does(Step::Acked(0, one(1))).await;
    running.drained().await;
}
