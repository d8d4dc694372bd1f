//! The broker's word on each message.

use std::task::Poll;

use cqrs_core::transport::{
    Ack, Message, Outcome, Publisher, Routing, Subscriber, Transport, TransportError,
};

use crate::fixture::{
    Fixture, broadcast, cqrs_id, message, messages, next, nothing_comes, number, numbers, publish,
    subscription, take,
};

pub(crate) async fn unroutable_messages_are_told_apart<F: Fixture>(fixture: F) {
    let mut publisher = fixture.transport().publisher().await.unwrap();
    let direct = Routing::Direct {
        queue: cqrs_tests::rabbitmq::unique_queue("nobody"),
        cqrs_id: cqrs_id("account"),
    };
    let batch = [
        message(1),
        Message {
            routing: direct,
            ..message(2)
        },
    ];
    let outcomes = publisher.publish(&batch).await.unwrap();
    assert_eq!(outcomes, [Outcome::Unroutable; 2]);
    fixture.clean(&[]).await;
}

pub(crate) async fn messages_that_share_an_id_are_told_apart<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    let routable = message(1);
    let unroutable = Message {
        routing: broadcast("nobody"),
        ..routable.clone()
    };
    let batch = [unroutable, routable, message(2)];
    let outcomes = publisher.publish(&batch).await.unwrap();
    let expected = [Outcome::Unroutable, Outcome::Confirmed, Outcome::Confirmed];
    assert_eq!(outcomes, expected);
    assert_eq!(numbers(&take(&mut subscriber, 2).await), [1, 2]);
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn unroutable_and_routable_messages_mix_in_a_batch<F: Fixture>(fixture: F) {
    let billing = subscription(1000);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    let batch: Vec<_> = (0..600)
        .map(|n| match n % 3 {
            0 => Message {
                routing: broadcast("nobody"),
                ..message(n)
            },
            _ => message(n),
        })
        .collect();
    // Again on the same publisher: nothing of the first call may colour the second.
    for _ in 0..2 {
        let outcomes = publisher.publish(&batch).await.unwrap();
        for (n, outcome) in outcomes.iter().enumerate() {
            let expected = if n % 3 == 0 {
                Outcome::Unroutable
            } else {
                Outcome::Confirmed
            };
            assert_eq!(*outcome, expected, "message {n}");
        }
        let expected: Vec<_> = (0..600).filter(|n| n % 3 != 0).collect();
        assert_eq!(numbers(&take(&mut subscriber, 400).await), expected);
    }
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn an_empty_batch_has_no_outcomes<F: Fixture>(fixture: F) {
    let mut publisher = fixture.transport().publisher().await.unwrap();
    assert_eq!(publisher.publish(&[]).await.unwrap(), []);
    fixture.clean(&[]).await;
}

pub(crate) async fn a_batch_of_five_thousand_arrives_in_order<F: Fixture>(fixture: F) {
    let billing = subscription(1000);
    let mut subscriber = fixture.elsewhere().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    let batch = messages(0..5000);
    let ((), received) = tokio::join!(publish(&mut publisher, &batch), async {
        let mut received = Vec::new();
        while received.len() < batch.len() {
            let delivery = next(&mut subscriber).await;
            received.push(number(&delivery));
            if received.len() % 100 == 0 {
                subscriber.ack(Ack::UpTo(delivery.tag)).await.unwrap();
            }
        }
        received
    });
    assert_eq!(received, (0..5000).collect::<Vec<_>>());
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn a_publisher_keeps_its_order_over_batches<F: Fixture>(fixture: F) {
    let billing = subscription(1000);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    for batch in [0..1, 1..40, 40..41, 41..300] {
        publish(&mut publisher, &messages(batch)).await;
    }
    let received = take(&mut subscriber, 300).await;
    assert_eq!(numbers(&received), (0..300).collect::<Vec<_>>());
    assert!(received.is_sorted_by_key(|delivery| delivery.tag));
    nothing_comes(&mut subscriber).await;
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn a_cancelled_call_spoils_the_publisher<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let _subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    let batch = messages(0..100);
    {
        let mut call = std::pin::pin!(publisher.publish(&batch));
        let first = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        assert!(first.is_pending());
    }
    let error = publisher.publish(&batch).await.unwrap_err().error;
    assert!(matches!(error, TransportError::Unavailable(_)), "{error:?}");
    fixture.clean(&[&billing.queue]).await;
}
