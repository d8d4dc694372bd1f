//! Messages of other clients that the driver cannot read.

use cqrs_core::transport::{Ack, Browse, Browser, Subscriber, Transport};
use cqrs_tests::{
    rabbitmq::unique_queue,
    raw_amqp::{Properties, RawPublisher, entry, long},
};
use lapin::types::{AMQPValue, FieldTable};

use super::Server;
use crate::fixture::{
    Fixture, depth_becomes, messages, nothing_comes, numbers, publish_by, subscription, take,
};

/// Sends one of each kind, numbered; answers how many.
async fn send_unreadable(server: &Server) -> usize {
    let mut raw = RawPublisher::connect(&server.url).await.unwrap();
    let none = Properties {
        flags: 0,
        bytes: Vec::new(),
    };
    let mut all: Vec<_> = Properties::unreadable()
        .into_iter()
        .map(|properties| (&b"account"[..], properties))
        .collect();
    all.push((b"caf\xe9", none));
    for (number, (key, properties)) in all.iter().enumerate() {
        let body = number.to_string();
        raw.publish(&server.exchange, key, properties, body.as_bytes())
            .await
            .unwrap();
    }
    raw.finish().await.unwrap();
    all.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_properties_hold_nothing_back() {
    let server = Server::new().await;
    let billing = subscription(100);
    let transport = server.transport();
    drop(transport.subscriber(&billing).await.unwrap());
    let admin = server.admin().await;
    admin.bind(&billing.queue, &server.exchange, "#").await;
    let count = send_unreadable(&server).await;
    publish_by(&transport, &messages(count..count + 1)).await;
    depth_becomes(&server, &billing.queue, count as u64 + 1).await;
    let expected: Vec<_> = (0..=count).collect();

    let mut browser = transport.browse(&billing.queue).await.unwrap();
    let mut seen = Vec::new();
    while let Some(delivery) = browser.get().await.unwrap() {
        seen.push(delivery);
    }
    assert_eq!(numbers(&seen), expected);
    browser.close().await;

    let mut subscriber = transport.subscriber(&billing).await.unwrap();
    let received = take(&mut subscriber, count + 1).await;
    assert_eq!(numbers(&received), expected);
    assert_eq!(received[count - 1].routing_key, "caf?");
    assert!(received[..count].iter().all(|got| got.message_id.is_none()));
    assert!(received[count].message_id.is_some());
    subscriber
        .ack(Ack::UpTo(received[count].tag))
        .await
        .unwrap();
    subscriber.close().await;
    depth_becomes(&server, &billing.queue, 0).await;
    admin.close().await;
    server.clean(&[&billing.queue]).await;
}

/// The broker adds to the headers of what it dead-letters, and does not look at the limit of frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_outgrow_a_frame_hold_nothing_back() {
    let server = Server::new().await;
    let billing = subscription(100);
    let mut subscriber = server.transport().subscriber(&billing).await.unwrap();
    let admin = server.admin().await;
    let delay = unique_queue("delay");
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-dead-letter-exchange", &server.exchange[..]),
        ("x-dead-letter-routing-key", "account"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1));
    admin.declare_queue(&delay, arguments).await;

    let mut raw = RawPublisher::connect(&server.url).await.unwrap();
    let large = Properties::headers(&entry(b"a", b'S', &long(&vec![b'x'; 131_000])));
    raw.publish("", delay.as_str().as_bytes(), &large, b"0")
        .await
        .unwrap();
    raw.finish().await.unwrap();
    assert_eq!(numbers(&take(&mut subscriber, 1).await), [0]);
    publish_by(&server.transport(), &messages(1..2)).await;
    assert_eq!(numbers(&take(&mut subscriber, 1).await), [1]);
    nothing_comes(&mut subscriber).await;
    admin.close().await;
    server.clean(&[&billing.queue, &delay]).await;
}
