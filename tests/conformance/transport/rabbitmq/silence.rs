//! Peers that accept and then say nothing, and a broker that blocks publishers.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use cqrs_core::{
    SecretUrl,
    transport::{
        Publisher, Subscriber, Transport, TransportError,
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::Server;
use crate::fixture::{Fixture, PATIENCE, depth_becomes, messages, next, publish, subscription};

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(answer: &Result<T, TransportError>) {
    assert!(
        matches!(answer, Err(TransportError::Unavailable(_))),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_listener_is_given_up_and_nothing_stays_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = RabbitMqConfig::new(SecretUrl::new(format!("amqp://u:p@{address}/%2f")));
    config.connect_timeout = Duration::from_millis(500);
    let transport = RabbitMq::new(config);
    let since = Instant::now();
    let (answer, accepted) = tokio::join!(transport.publisher(), listener.accept());
    assert_unavailable(&answer.map(drop));
    assert!(since.elapsed() < Duration::from_secs(5));
    // The driver alone would keep thread and socket for as long as the peer does.
    let mut rest = Vec::new();
    let (mut peer, _) = accepted.unwrap();
    let ended = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the socket is still open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_connect_leaves_nothing_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = SecretUrl::new(format!("amqp://u:p@{address}/%2f"));
    let transport = RabbitMq::new(RabbitMqConfig::new(url));
    let (mut peer, _) = tokio::select! {
        biased;
        accepted = listener.accept() => accepted.unwrap(),
        answer = transport.publisher() => panic!("{:?}", answer.map(drop)),
    };
    let ended = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the socket is still open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_waits_on_its_connection_while_the_broker_has_an_alarm() {
    let server = Server::private("transport-blocked").await;
    let service = server.service.as_ref().unwrap();
    let billing = subscription(10);
    let mut config = server.config();
    config.confirm_timeout = Duration::from_secs(1);
    config.heartbeat = Duration::from_secs(1);
    let transport = RabbitMq::new(config);
    let mut subscriber = transport.subscriber(&billing).await.unwrap();
    let mut publisher = transport.publisher().await.unwrap();
    publish(&mut publisher, &messages(0..2)).await;

    service
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0"])
        .await
        .unwrap();
    let batch = messages(2..1000);
    let mut call = pin!(publish(&mut publisher, &batch));
    // Longer than any limit of the connection.
    let answer = tokio::time::timeout(Duration::from_secs(6), &mut call).await;
    assert!(answer.is_err(), "the broker was to take nothing");
    // The subscriber has a connection of its own, and goes on.
    let tag = next(&mut subscriber).await.tag;
    subscriber
        .ack(cqrs_core::transport::Ack::One(tag))
        .await
        .unwrap();

    service
        .rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "2GB"])
        .await
        .unwrap();
    tokio::time::timeout(PATIENCE, call).await.expect("in time");
    let tag = next(&mut subscriber).await.tag;
    subscriber
        .ack(cqrs_core::transport::Ack::UpTo(tag))
        .await
        .unwrap();
    subscriber.close().await;
    // Each once.
    depth_becomes(&server, &billing.queue, 998).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_ends_connections_and_keeps_confirmed_messages() {
    let server = Server::private("transport-killed").await;
    let service = server.service.as_ref().unwrap();
    let billing = subscription(1000);
    let mut subscriber = server.transport().subscriber(&billing).await.unwrap();
    let mut publisher = server.transport().publisher().await.unwrap();
    publish(&mut publisher, &messages(0..300)).await;
    next(&mut subscriber).await;
    service.kill().await.unwrap();
    // What the broker had sent before it died may still be read.
    let lost = loop {
        if let Err(lost) = crate::fixture::outcome(&mut subscriber).await {
            break lost;
        }
    };
    assert_unavailable::<()>(&Err(lost));
    let lost = publisher.publish(&messages(300..310)).await;
    assert_unavailable(&lost.map_err(TransportError::from));
    assert_unavailable(&server.transport().publisher().await.map(drop));
    service.start().await.unwrap();
    let mut subscriber = server.transport().subscriber(&billing).await.unwrap();
    let received = crate::fixture::take(&mut subscriber, 300).await;
    assert_eq!(
        crate::fixture::numbers(&received),
        (0..300).collect::<Vec<_>>()
    );
}
