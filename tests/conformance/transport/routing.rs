//! Who gets what.

use cqrs_core::transport::{Ack, Message, Routing, Subscriber, Transport};
use cqrs_tests::rabbitmq::unique_queue;

use crate::fixture::{
    Fixture, broadcast, cqrs_id, message, next, nothing_comes, number, publish_by, subscription,
};

pub(crate) async fn broadcasts_reach_every_queue_of_the_model<F: Fixture>(fixture: F) {
    let (billing, audit) = (subscription(10), subscription(10));
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    let mut second = fixture.elsewhere().subscriber(&audit).await.unwrap();
    publish_by(&fixture.transport(), &[message(7)]).await;
    for subscriber in [&mut first, &mut second] {
        let delivery = next(subscriber).await;
        assert_eq!(number(&delivery), 7);
        assert_eq!(delivery.routing_key, "account");
        assert!(!delivery.redelivered);
        subscriber.ack(Ack::One(delivery.tag)).await.unwrap();
    }
    first.close().await;
    second.close().await;
    fixture.clean(&[&billing.queue, &audit.queue]).await;
}

pub(crate) async fn direct_messages_reach_their_queue_alone<F: Fixture>(fixture: F) {
    let (billing, audit) = (subscription(10), subscription(10));
    let mut first = fixture.transport().subscriber(&billing).await.unwrap();
    let mut second = fixture.transport().subscriber(&audit).await.unwrap();
    let routing = Routing::Direct {
        queue: audit.queue.clone(),
        cqrs_id: cqrs_id("account"),
    };
    let key = routing.key();
    publish_by(
        &fixture.transport(),
        &[Message {
            routing,
            ..message(7)
        }],
    )
    .await;
    assert_eq!(next(&mut second).await.routing_key, key);
    nothing_comes(&mut first).await;
    fixture.clean(&[&billing.queue, &audit.queue]).await;
}

pub(crate) async fn models_that_are_not_bound_stay_away<F: Fixture>(fixture: F) {
    let accounts = subscription(10);
    let both = cqrs_core::transport::Subscription {
        cqrs_ids: vec![cqrs_id("account"), cqrs_id("shop.Invoice")],
        ..subscription(10)
    };
    let mut first = fixture.transport().subscriber(&accounts).await.unwrap();
    let mut second = fixture.transport().subscriber(&both).await.unwrap();
    let invoice = Message {
        routing: broadcast("shop.Invoice"),
        ..message(1)
    };
    publish_by(&fixture.transport(), &[invoice, message(2)]).await;
    assert_eq!(number(&next(&mut first).await), 2);
    nothing_comes(&mut first).await;
    assert_eq!(number(&next(&mut second).await), 1);
    assert_eq!(number(&next(&mut second).await), 2);
    fixture.clean(&[&accounts.queue, &both.queue]).await;
}

pub(crate) async fn subscribing_again_adds_bindings_and_removes_none<F: Fixture>(fixture: F) {
    let mut billing = subscription(10);
    fixture
        .transport()
        .subscriber(&billing)
        .await
        .unwrap()
        .close()
        .await;
    billing.cqrs_ids = vec![cqrs_id("invoice")];
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let invoice = Message {
        routing: broadcast("invoice"),
        ..message(2)
    };
    publish_by(&fixture.transport(), &[message(1), invoice]).await;
    assert_eq!(number(&next(&mut subscriber).await), 1);
    assert_eq!(number(&next(&mut subscriber).await), 2);
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn the_dead_letter_queue_takes_direct_messages<F: Fixture>(fixture: F) {
    let dead = unique_queue("dead_letter");
    let mut billing = subscription(10);
    billing.dead_letter_queue = Some(dead.clone());
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let routing = Routing::Direct {
        queue: dead.clone(),
        cqrs_id: cqrs_id("account"),
    };
    publish_by(
        &fixture.transport(),
        &[
            Message {
                routing,
                ..message(7)
            },
            message(8),
        ],
    )
    .await;
    assert_eq!(number(&next(&mut subscriber).await), 8);
    assert_eq!(fixture.depth(&dead).await.unwrap(), 1);
    fixture.clean(&[&billing.queue, &dead]).await;
}
