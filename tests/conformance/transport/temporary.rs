//! Queues that are there while someone receives from them.

use std::num::NonZeroU16;

use cqrs_core::transport::{Ack, Outcome, Publisher, Subscriber, TEMPORARY, Transport};
use cqrs_tests::{
    rabbitmq::unique_queue,
    wait::{Seen, until},
};

use crate::fixture::{Fixture, PATIENCE, cqrs_id, message, next, number};

pub(crate) async fn a_temporary_queue_goes_with_its_last_consumer<F: Fixture>(fixture: F) {
    let queue = unique_queue(&format!("{TEMPORARY}question"));
    let (keys, prefetch) = ([cqrs_id("account")], NonZeroU16::MIN);
    let transport = fixture.transport();
    let mut first = transport.temporary(&queue, &keys, prefetch).await.unwrap();
    let second = fixture
        .elsewhere()
        .temporary(&queue, &keys, prefetch)
        .await
        .unwrap();
    let mut publisher = transport.publisher().await.unwrap();
    // Whoever shares it goes on when another leaves.
    second.close().await;
    let outcomes = publisher.publish(&[message(7)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Confirmed]);
    let delivery = next(&mut first).await;
    assert_eq!(number(&delivery), 7);
    first.ack(Ack::One(delivery.tag)).await.unwrap();
    first.close().await;
    until("the queue goes", PATIENCE, async || {
        Ok(match fixture.depth(&queue).await {
            Err(_) => Seen::Yes,
            Ok(depth) => Seen::NotYet(depth.to_string()),
        })
    })
    .await
    .unwrap();
    let outcomes = publisher.publish(&[message(8)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Unroutable]);
    publisher.close().await;
    fixture.clean(&[]).await;
}
