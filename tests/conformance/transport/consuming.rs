//! Subscribers: redelivery, acknowledgement, prefetch, sharing.

use std::{collections::BTreeSet, num::NonZeroU16, time::Duration};

use cqrs_core::transport::{Ack, Publisher, Subscriber, Transport, TransportError};

use crate::fixture::{
    Fixture, PATIENCE, depth_becomes, messages, next, nothing_comes, number, numbers, outcome,
    publish, publish_by, subscription, take,
};

pub(crate) async fn closing_gives_back_what_is_not_acknowledged<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..4)).await;
    let taken = take(&mut first, 3).await;
    first.ack(Ack::One(taken[1].tag)).await.unwrap();
    first.close().await;

    let mut second = fixture.elsewhere().subscriber(&billing).await.unwrap();
    let again = take(&mut second, 3).await;
    assert_eq!(numbers(&again), [0, 2, 3]);
    assert!(again[0].redelivered && again[1].redelivered);
    nothing_comes(&mut second).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn dropping_gives_back_what_is_not_acknowledged<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    let mut second = fixture.elsewhere().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..20)).await;
    let held = take(&mut first, 5).await;
    drop(first);
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        let delivery = next(&mut second).await;
        let was_held = held
            .iter()
            .any(|held| held.message_id == delivery.message_id);
        assert!(delivery.redelivered || !was_held);
        assert!(seen.insert(number(&delivery)));
        second.ack(Ack::One(delivery.tag)).await.unwrap();
    }
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn acknowledged_messages_are_gone<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..10)).await;
    for delivery in take(&mut first, 10).await {
        first.ack(Ack::One(delivery.tag)).await.unwrap();
    }
    first.close().await;
    let mut second = fixture.transport().subscriber(&billing).await.unwrap();
    nothing_comes(&mut second).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn an_acknowledgement_up_to_covers_all_before<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..8)).await;
    let taken = take(&mut first, 8).await;
    first.ack(Ack::UpTo(taken[5].tag)).await.unwrap();
    first.close().await;
    let mut second = fixture.transport().subscriber(&billing).await.unwrap();
    assert_eq!(numbers(&take(&mut second, 2).await), [6, 7]);
    nothing_comes(&mut second).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn both_kinds_of_acknowledgement_mix<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..8)).await;
    let taken = take(&mut first, 8).await;
    first.ack(Ack::One(taken[3].tag)).await.unwrap();
    // Already acknowledged, twice: a no-op, not an error of the broker's.
    first.ack(Ack::One(taken[3].tag)).await.unwrap();
    first.ack(Ack::UpTo(taken[3].tag)).await.unwrap();
    first.ack(Ack::UpTo(taken[2].tag)).await.unwrap();
    first.ack(Ack::One(taken[6].tag)).await.unwrap();
    first.close().await;
    let mut second = fixture.transport().subscriber(&billing).await.unwrap();
    assert_eq!(numbers(&take(&mut second, 3).await), [4, 5, 7]);
    nothing_comes(&mut second).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn prefetch_bounds_what_is_unacknowledged<F: Fixture>(fixture: F) {
    let billing = subscription(3);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..10)).await;
    let taken = take(&mut subscriber, 3).await;
    nothing_comes(&mut subscriber).await;
    depth_becomes(&fixture, &billing.queue, 7).await;

    subscriber.ack(Ack::One(taken[0].tag)).await.unwrap();
    assert_eq!(number(&next(&mut subscriber).await), 3);
    nothing_comes(&mut subscriber).await;

    subscriber.ack(Ack::UpTo(taken[2].tag)).await.unwrap();
    assert_eq!(numbers(&take(&mut subscriber, 2).await), [4, 5]);
    nothing_comes(&mut subscriber).await;
    depth_becomes(&fixture, &billing.queue, 4).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn the_prefetch_can_be_changed_and_the_order_stays<F: Fixture>(fixture: F) {
    let billing = subscription(5);
    let prefetch = |count| NonZeroU16::new(count).unwrap();
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..40)).await;
    // Five are on their way.
    depth_becomes(&fixture, &billing.queue, 35).await;
    subscriber.set_prefetch(prefetch(10)).await.unwrap();
    let first = take(&mut subscriber, 5).await;
    assert_eq!(numbers(&first), [0, 1, 2, 3, 4]);
    subscriber.ack(Ack::UpTo(first[4].tag)).await.unwrap();
    let more = take(&mut subscriber, 10).await;
    assert_eq!(numbers(&more), (5..15).collect::<Vec<_>>());
    nothing_comes(&mut subscriber).await;
    depth_becomes(&fixture, &billing.queue, 25).await;
    subscriber.set_prefetch(prefetch(2)).await.unwrap();
    subscriber.ack(Ack::UpTo(more[9].tag)).await.unwrap();
    assert_eq!(numbers(&take(&mut subscriber, 2).await), [15, 16]);
    nothing_comes(&mut subscriber).await;
    depth_becomes(&fixture, &billing.queue, 23).await;
    // What is not acknowledged goes back, whichever prefetch it came by.
    drop(subscriber);
    let mut second = fixture.transport().subscriber(&billing).await.unwrap();
    assert_eq!(numbers(&take(&mut second, 2).await), [15, 16]);
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn two_subscribers_share_a_queue<F: Fixture>(fixture: F) {
    const COUNT: usize = 1000;
    let billing = subscription(10);
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    let mut second = fixture.elsewhere().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    let batch = messages(0..COUNT);
    let (mut seen, mut shares) = (BTreeSet::new(), [0, 0]);
    let all = async {
        while seen.len() < COUNT {
            let (who, delivery) = tokio::select! {
                delivery = first.next() => (0, delivery.unwrap()),
                delivery = second.next() => (1, delivery.unwrap()),
            };
            assert!(!delivery.redelivered);
            assert!(
                seen.insert(number(&delivery)),
                "{} came twice",
                number(&delivery)
            );
            shares[who] += 1;
            let ack = Ack::One(delivery.tag);
            if who == 0 {
                first.ack(ack).await
            } else {
                second.ack(ack).await
            }
            .unwrap();
        }
    };
    let both = async { tokio::join!(publish(&mut publisher, &batch), all) };
    tokio::time::timeout(PATIENCE, both)
        .await
        .expect("all of them in time");
    assert!(shares[0] > 0 && shares[1] > 0, "{shares:?}");
    nothing_comes(&mut first).await;
    nothing_comes(&mut second).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn a_cancelled_next_loses_nothing<F: Fixture>(fixture: F) {
    const COUNT: usize = 300;
    let billing = subscription(1000);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let sending = async {
        let mut publisher = fixture.elsewhere().publisher().await.unwrap();
        for n in 0..COUNT {
            publish(&mut publisher, &messages(n..n + 1)).await;
        }
        publisher.close().await;
    };
    let receiving = async {
        let mut received = Vec::new();
        let moments = [0, 50, 1000, 3000].map(Duration::from_micros);
        for moment in moments.into_iter().cycle() {
            if let Ok(delivery) = tokio::time::timeout(moment, subscriber.next()).await {
                received.push(number(&delivery.unwrap()));
            }
            if received.len() == COUNT {
                return received;
            }
        }
        unreachable!()
    };
    let (received, ()) = tokio::join!(receiving, sending);
    assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn a_waiting_subscriber_hears_of_other_processes<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    nothing_comes(&mut subscriber).await;
    let mut publisher = fixture.elsewhere().publisher().await.unwrap();
    publish(&mut publisher, &messages(5..6)).await;
    let soon = tokio::time::timeout(Duration::from_secs(2), subscriber.next());
    assert_eq!(number(&soon.await.expect("soon").unwrap()), 5);
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn a_deleted_queue_is_reported_and_declared_anew<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(0..3)).await;
    next(&mut subscriber).await;
    fixture.delete_queue(&billing.queue).await;
    let error = loop {
        // What was on its way may still come.
        if let Err(error) = outcome(&mut subscriber).await {
            break error;
        }
    };
    assert!(
        matches!(&error, TransportError::QueueGone { queue } if *queue == billing.queue),
        "{error:?}"
    );
    let gone = fixture.depth(&billing.queue).await.unwrap_err();
    assert!(matches!(gone, TransportError::QueueGone { .. }), "{gone:?}");

    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    publish_by(&fixture.transport(), &messages(9..10)).await;
    assert_eq!(number(&next(&mut subscriber).await), 9);
    fixture.clean(&[&billing.queue]).await;
}
