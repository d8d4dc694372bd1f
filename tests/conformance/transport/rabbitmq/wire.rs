//! What a Django service on the other end sees, and what it may send.

use std::time::Duration;

use cqrs_core::transport::{
    Headers, Message, Outcome, Publisher, Routing, Subscription, Transport, TransportError,
};
use cqrs_tests::rabbitmq::unique_queue;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::Server;
use crate::fixture::{Fixture, cqrs_id, message, messages, next, publish_by, subscription};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_and_topology_are_those_of_django_cqrs() {
    let server = Server::new().await;
    let dead = unique_queue("dead_letter");
    let billing = Subscription {
        dead_letter_queue: Some(dead.clone()),
        ..subscription(10)
    };
    // Closed again: the admin takes the message.
    drop(server.transport().subscriber(&billing).await.unwrap());

    // The declarations of django-cqrs 3.1.0; any other flag or argument would be a 406.
    let admin = server.admin().await;
    admin
        .declare_exchange(&server.exchange, lapin::ExchangeKind::Topic)
        .await;
    for queue in [&billing.queue, &dead] {
        admin.declare_queue(queue, FieldTable::default()).await;
    }

    let routing = Routing::Direct {
        queue: dead.clone(),
        cqrs_id: cqrs_id("account"),
    };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = Headers {
        trace: Some(trace.parse().unwrap()),
        counted: true,
        forced: true,
    };
    let sent = Message {
        routing,
        headers,
        ..message(1)
    };
    publish_by(&server.transport(), std::slice::from_ref(&sent)).await;

    let got = admin.get(&dead).await.expect("a message");
    let properties = &got.properties;
    assert_eq!(got.routing_key.as_str(), format!("cqrs.{dead}.account"));
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "text/plain"
    );
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(*properties.timestamp(), Some(1_700_000_000));
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        sent.message_id.to_string()
    );
    let headers = properties.headers().as_ref().unwrap().inner();
    assert_eq!(
        headers.get("traceparent"),
        Some(&AMQPValue::LongString(trace.into()))
    );
    assert_eq!(headers.get("cqrs-counted"), Some(&AMQPValue::Boolean(true)));
    assert_eq!(headers.get("cqrs-forced"), Some(&AMQPValue::Boolean(true)));
    assert_eq!(headers.len(), 3);
    assert!(properties.expiration().is_none() && properties.content_encoding().is_none());

    let mut publisher = server.transport().publisher().await.unwrap();
    let ten_days = Duration::from_hours(240);
    let outcomes = publisher
        .publish_for(std::slice::from_ref(&sent), ten_days)
        .await;
    assert_eq!(outcomes.unwrap(), [Outcome::Confirmed]);
    publisher.close().await;
    let got = admin.get(&dead).await.expect("a message");
    let expiration = got.properties.expiration().as_ref().unwrap();
    assert_eq!(expiration.as_str(), "864000000");

    // Longer than the broker takes.
    let mut publisher = server.transport().publisher().await.unwrap();
    let ten_years = Duration::from_hours(87_600);
    let outcomes = publisher
        .publish_for(std::slice::from_ref(&sent), ten_years)
        .await;
    assert_eq!(outcomes.unwrap(), [Outcome::Confirmed]);
    publisher.close().await;
    admin.close().await;
    server.clean(&[&billing.queue, &dead]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_django_has_no_id_and_no_headers() {
    let server = Server::new().await;
    let billing = subscription(10);
    let mut subscriber = server.transport().subscriber(&billing).await.unwrap();
    let admin = server.admin().await;
    let plain = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_delivery_mode(2);
    let mut odd = FieldTable::default();
    odd.insert("traceparent".into(), AMQPValue::LongLongInt(7));
    odd.insert("cqrs-counted".into(), AMQPValue::LongString("yes".into()));
    let odd = BasicProperties::default()
        .with_message_id("17".into())
        .with_headers(odd);
    for properties in [plain, odd] {
        admin
            .publish(&server.exchange, "account", properties, b"{}")
            .await;
        let delivery = next(&mut subscriber).await;
        assert_eq!(delivery.message_id, None);
        assert_eq!(delivery.headers, Headers::default());
        assert_eq!(&delivery.body[..], b"{}");
    }
    admin.close().await;
    server.clean(&[&billing.queue]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_the_others_are_confirmed() {
    let server = Server::new().await;
    let full = unique_queue("full");
    let mut publisher = server.transport().publisher().await.unwrap();
    let admin = server.admin().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(3));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    admin.declare_queue(&full, arguments).await;
    admin.bind(&full, &server.exchange, "account").await;

    let mut batch = messages(0..10);
    batch[7].routing = crate::fixture::broadcast("nobody");
    let outcomes = publisher.publish(&batch).await.unwrap();
    let mut expected = [Outcome::Refused; 10];
    expected[..3].fill(Outcome::Confirmed);
    expected[7] = Outcome::Unroutable;
    assert_eq!(outcomes, expected);
    // The publisher is as good as before.
    admin.get(&full).await.expect("room for one");
    assert_eq!(
        publisher.publish(&messages(0..1)).await.unwrap(),
        [Outcome::Confirmed]
    );
    admin.close().await;
    server.clean(&[&full]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_exchange_is_declared_by_the_next_publisher() {
    let server = Server::new().await;
    let billing = subscription(10);
    let mut publisher = server.transport().publisher().await.unwrap();
    let admin = server.admin().await;
    admin.delete_exchange(&server.exchange).await;
    let lost = publisher.publish(&messages(0..50)).await.unwrap_err();
    assert!(
        matches!(lost.error, TransportError::Unavailable(_)),
        "{lost:?}"
    );
    let mut subscriber = server.transport().subscriber(&billing).await.unwrap();
    publish_by(&server.transport(), &messages(0..1)).await;
    next(&mut subscriber).await;
    admin.close().await;
    server.clean(&[&billing.queue]).await;
}
