//! Looking into a queue by hand.

use cqrs_core::transport::{
    Browse, Browser, Delivery, Message, Outcome, Publisher, Routing, Subscriber, Subscription,
    Transport, TransportError,
};
use cqrs_tests::rabbitmq::unique_queue;

use crate::fixture::{
    Fixture, cqrs_id, depth_becomes, messages, numbers, publish_by, subscription,
};

async fn all<B: Browser>(browser: &mut B) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while let Some(delivery) = browser.get().await.unwrap() {
        deliveries.push(delivery);
    }
    deliveries
}

pub(crate) async fn looking_leaves_everything_where_it_is<F: Fixture>(fixture: F)
where
    F::Transport: Browse,
{
    let dead = unique_queue("dead_letter");
    let billing = Subscription {
        dead_letter_queue: Some(dead.clone()),
        ..subscription(10)
    };
    let transport = fixture.transport();
    let subscriber = transport.subscriber(&billing).await.unwrap();
    let sent: Vec<Message> = messages(0..4)
        .into_iter()
        .map(|message| Message {
            routing: Routing::Direct {
                queue: dead.clone(),
                cqrs_id: cqrs_id("account"),
            },
            ..message
        })
        .collect();
    publish_by(&transport, &sent).await;

    let mut browser = transport.browse(&dead).await.unwrap();
    let seen = all(&mut browser).await;
    assert_eq!(numbers(&seen), [0, 1, 2, 3]);
    assert_eq!(seen[0].message_id, Some(sent[0].message_id));
    assert_eq!(seen[0].routing_key, format!("cqrs.{dead}.account"));
    assert!(seen.iter().all(|delivery| !delivery.redelivered));
    browser.close().await;
    depth_becomes(&fixture, &dead, 4).await;

    // What is acknowledged is gone, the rest comes again, the oldest first.
    let mut browser = fixture.elsewhere().browse(&dead).await.unwrap();
    let seen = all(&mut browser).await;
    assert_eq!(numbers(&seen), [0, 1, 2, 3]);
    assert!(seen.iter().all(|delivery| delivery.redelivered));
    browser.ack(&[seen[0].tag, seen[2].tag]).await.unwrap();
    browser.close().await;
    depth_becomes(&fixture, &dead, 2).await;
    let mut browser = transport.browse(&dead).await.unwrap();
    assert_eq!(numbers(&all(&mut browser).await), [1, 3]);
    browser.close().await;
    subscriber.close().await;
    fixture.clean(&[&billing.queue, &dead]).await;
}

pub(crate) async fn a_queue_that_is_not_there_cannot_be_looked_into<F: Fixture>(fixture: F)
where
    F::Transport: Browse,
{
    let nowhere = unique_queue("nowhere");
    // The broker itself is there.
    let transport = fixture.transport();
    let billing = subscription(10);
    let subscriber = transport.subscriber(&billing).await.unwrap();
    match transport.browse(&nowhere).await {
        Err(TransportError::QueueGone { queue }) => assert_eq!(queue, nowhere),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was made"),
    }
    subscriber.close().await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn a_model_that_is_unbound_comes_no_more<F: Fixture>(fixture: F)
where
    F::Transport: Browse,
{
    let both = Subscription {
        cqrs_ids: vec![cqrs_id("account"), cqrs_id("invoice")],
        ..subscription(10)
    };
    let transport = fixture.transport();
    let mut subscriber = transport.subscriber(&both).await.unwrap();
    transport
        .unbind(&both.queue, &cqrs_id("invoice"))
        .await
        .unwrap();
    // Once more changes nothing.
    transport
        .unbind(&both.queue, &cqrs_id("invoice"))
        .await
        .unwrap();
    let sent: Vec<Message> = messages(0..3)
        .into_iter()
        .zip([
            Routing::Broadcast(cqrs_id("invoice")),
            Routing::Direct {
                queue: both.queue.clone(),
                cqrs_id: cqrs_id("invoice"),
            },
            Routing::Broadcast(cqrs_id("account")),
        ])
        .map(|(message, routing)| Message { routing, ..message })
        .collect();
    let mut publisher = transport.publisher().await.unwrap();
    let outcomes = publisher.publish(&sent).await.unwrap();
    assert_eq!(outcomes[2], Outcome::Confirmed);
    publisher.close().await;
    // They are in a queue in the order in which they were sent.
    let first = subscriber.next().await.unwrap();
    assert_eq!(numbers(&[first]), [2]);
    subscriber.close().await;

    let missing = unique_queue("missing");
    let Err(error) = transport.unbind(&missing, &cqrs_id("account")).await else {
        // RabbitMQ takes away what is not there.
        return;
    };
    assert!(
        matches!(error, TransportError::QueueGone { .. }),
        "{error:?}"
    );
}
