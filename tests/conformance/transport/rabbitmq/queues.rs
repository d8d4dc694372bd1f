//! Queues that are there already, and what they do with messages that nobody acknowledges.

use std::time::Duration;

use cqrs_core::transport::{
    Ack, Outcome, Publisher, QueueType, Subscriber, Transport, TransportError, rabbitmq::RabbitMq,
};
use cqrs_tests::rabbitmq::unique_queue;
use lapin::types::{AMQPValue, FieldTable};

use super::Server;
use crate::fixture::{
    Fixture, message, messages, next, number, numbers, outcome, publish_by, subscription, take,
};

const TYPES: [QueueType; 3] = [QueueType::Default, QueueType::Classic, QueueType::Quorum];

fn of_type(server: &Server, queue_type: QueueType) -> RabbitMq {
    let mut config = server.config();
    config.queue_type = queue_type;
    RabbitMq::new(config)
}

fn table(arguments: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_there_is_taken_as_it_is() {
    let server = Server::new().await;
    let admin = server.admin().await;
    let quorum = || ("x-queue-type", text("quorum"));
    let arguments: [&[_]; 7] = [
        &[],
        &[("x-queue-type", text("classic"))],
        &[quorum()],
        &[quorum(), ("x-delivery-limit", AMQPValue::LongInt(5))],
        &[quorum(), ("x-dead-letter-exchange", text("it's kept"))],
        &[("x-single-active-consumer", AMQPValue::Boolean(true))],
        &[
            ("x-max-length", AMQPValue::LongInt(3)),
            ("x-overflow", text("reject-publish")),
        ],
    ];
    for arguments in arguments {
        let billing = subscription(10);
        admin.declare_queue(&billing.queue, table(arguments)).await;
        for queue_type in TYPES {
            let transport = of_type(&server, queue_type);
            let mut subscriber = transport.subscriber(&billing).await.unwrap();
            publish_by(&transport, &messages(0..2)).await;
            let taken = take(&mut subscriber, 2).await;
            assert_eq!(numbers(&taken), [0, 1], "{queue_type:?} {arguments:?}");
            subscriber.ack(Ack::UpTo(taken[1].tag)).await.unwrap();
            subscriber.close().await;
        }
        admin.delete_queue(&billing.queue).await;
    }
    admin.close().await;
    server.clean(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_a_long_name_is_taken_as_it_is() {
    let server = Server::new().await;
    let mut billing = subscription(10);
    billing.queue = unique_queue(&"q".repeat(80));
    for (there, wanted) in [
        (QueueType::Classic, QueueType::Quorum),
        (QueueType::Quorum, QueueType::Default),
    ] {
        for queue_type in [there, wanted] {
            let subscriber = of_type(&server, queue_type).subscriber(&billing).await;
            subscriber.unwrap().close().await;
        }
        server.delete_queue(&billing.queue).await;
    }
    server.clean(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_drops_the_oldest_is_refused() {
    let server = Server::new().await;
    let billing = subscription(10);
    let admin = server.admin().await;
    let short = [("x-max-length", AMQPValue::LongInt(3))];
    admin.declare_queue(&billing.queue, table(&short)).await;
    let error = server.transport().subscriber(&billing).await.unwrap_err();
    assert!(matches!(error, TransportError::Misconfigured { .. }));
    let words = error.to_string();
    for word in [billing.queue.as_str(), "x-max-length", "reject-publish"] {
        assert!(words.contains(word), "no {word:?} in: {words}");
    }
    admin.close().await;
    server.clean(&[&billing.queue]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_what_it_cannot_take() {
    let server = Server::new().await;
    let billing = subscription(10);
    let admin = server.admin().await;
    let full = [
        ("x-max-length", AMQPValue::LongInt(3)),
        ("x-overflow", text("reject-publish")),
    ];
    admin.declare_queue(&billing.queue, table(&full)).await;
    let transport = server.transport();
    drop(transport.subscriber(&billing).await.unwrap());
    let mut publisher = transport.publisher().await.unwrap();
    for number in 0..3 {
        let outcomes = publisher.publish(&[message(number)]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Confirmed]);
    }
    let outcomes = publisher.publish(&[message(3)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Refused]);
    publisher.close().await;
    admin.close().await;
    server.clean(&[&billing.queue]).await;
}

/// More often than RabbitMQ 4 lets a message come back by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_many_times_is_not_dropped() {
    let server = Server::new().await;
    for queue_type in TYPES {
        let billing = subscription(10);
        let transport = of_type(&server, queue_type);
        transport.subscriber(&billing).await.unwrap().close().await;
        publish_by(&transport, &messages(0..5)).await;
        for _ in 0..30 {
            let mut subscriber = transport.subscriber(&billing).await.unwrap();
            assert_eq!(numbers(&take(&mut subscriber, 5).await), [0, 1, 2, 3, 4]);
            // As a worker that is killed, or that gives messages back.
            drop(subscriber);
        }
        server.delete_queue(&billing.queue).await;
    }
    server.clean(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_acknowledged_in_the_brokers_time_comes_again() {
    let server = Server::private("transport-consumer-timeout").await;
    let service = server.service.as_ref().unwrap();
    for setting in ["consumer_timeout, 500", "channel_tick_interval, 200"] {
        let set = format!("application:set_env(rabbit, {setting}).");
        service.rabbitmqctl(&["eval", &set]).await.unwrap();
    }
    for queue_type in [QueueType::Classic, QueueType::Quorum] {
        let billing = subscription(10);
        let transport = of_type(&server, queue_type);
        let mut subscriber = transport.subscriber(&billing).await.unwrap();
        publish_by(&transport, &messages(0..3)).await;
        take(&mut subscriber, 3).await;
        let error = outcome(&mut subscriber).await.unwrap_err();
        assert!(matches!(error, TransportError::Unavailable(_)), "{error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("timed out"), "{cause}");

        let mut subscriber = transport.subscriber(&billing).await.unwrap();
        for expected in 0..3 {
            let delivery = next(&mut subscriber).await;
            assert_eq!(number(&delivery), expected);
            subscriber.ack(Ack::One(delivery.tag)).await.unwrap();
        }
        subscriber.close().await;
        tokio::time::timeout(Duration::from_secs(30), async {
            while server.depth(&billing.queue).await.unwrap() > 0 {}
        })
        .await
        .unwrap();
    }
}
