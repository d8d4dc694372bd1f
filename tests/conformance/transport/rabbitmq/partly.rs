//! Batches that get through in part, slowly, or but for one message.

use std::{io, time::Duration};

use bytes::Bytes;
use cqrs_core::transport::{
    Message, Outcome, Publisher, Transport, TransportError, rabbitmq::RabbitMq,
};

use super::{
    Server,
    proxy::{Proxy, Speed},
};
use crate::fixture::{Fixture, broadcast, depth_becomes, message, messages, publish, subscription};

/// A message with a body of so many bytes.
fn large(number: usize, len: usize) -> Message {
    Message {
        body: Bytes::from(vec![b'x'; len]),
        ..message(number)
    }
}

/// The server by way of a proxy, with little patience.
fn by(server: &Server, proxy: &Proxy) -> RabbitMq {
    let mut config = server.config();
    config.url = proxy.url.clone();
    config.confirm_timeout = Duration::from_secs(1);
    RabbitMq::new(config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_is_waited_for_while_it_goes_on() {
    let server = Server::new().await;
    let billing = subscription(10);
    drop(server.transport().subscriber(&billing).await.unwrap());
    // Three times as long as the patience, in all.
    let proxy = Proxy::start(&server.url, Speed::Slow(500_000)).await;
    let mut publisher = by(&server, &proxy).publisher().await.unwrap();
    let batch: Vec<_> = (0..100).map(|number| large(number, 15_000)).collect();
    publish(&mut publisher, &batch).await;
    publisher.close().await;
    depth_becomes(&server, &billing.queue, 100).await;
    server.clean(&[&billing.queue]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_of_a_batch_is_told_when_the_connection_is_lost() {
    let server = Server::new().await;
    let billing = subscription(10);
    drop(server.transport().subscriber(&billing).await.unwrap());
    let proxy = Proxy::start(&server.url, Speed::Full).await;
    let mut publisher = by(&server, &proxy).publisher().await.unwrap();
    let mut batch: Vec<_> = (0..600).map(|number| large(number, 15_000)).collect();
    batch[1].routing = broadcast("nobody");
    // The first three, and a part of the fourth.
    proxy.allow(50_000);
    let lost = publisher.publish(&batch).await.unwrap_err();
    assert!(matches!(lost.error, TransportError::Unavailable(_)));
    let mut expected = vec![None; 600];
    expected[..3].fill(Some(Outcome::Confirmed));
    expected[1] = Some(Outcome::Unroutable);
    assert_eq!(lost.outcomes, expected);

    // What is still to be sent is not sent after all.
    drop(publisher);
    proxy.allow(usize::MAX);
    let ended = proxy.ended().await.unwrap_err();
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
    server.clean(&[&billing.queue]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_permission_costs_only_its_own_messages() {
    let server = Server::private("transport-permission").await;
    let service = server.service.as_ref().unwrap();
    let billing = subscription(10);
    drop(server.transport().subscriber(&billing).await.unwrap());
    let allow = [
        "set_topic_permissions",
        "cqrs",
        &server.exchange,
        "^account$",
        ".*",
    ];
    service.rabbitmqctl(&allow).await.unwrap();

    let mut publisher = server.transport().publisher().await.unwrap();
    let mut batch = messages(0..100);
    for place in [3, 4, 70] {
        batch[place].routing = broadcast("order");
    }
    batch[50].routing = broadcast("note");
    let outcomes = publisher.publish(&batch).await.unwrap();
    for (place, outcome) in outcomes.into_iter().enumerate() {
        let expected = match place {
            3 | 4 | 50 | 70 => Outcome::Refused,
            _ => Outcome::Confirmed,
        };
        assert_eq!(outcome, expected, "{place}");
    }
    // The publisher is as good as before.
    publish(&mut publisher, &messages(0..10)).await;
    let depth = server.depth(&billing.queue).await.unwrap();
    assert!((106..110).contains(&depth), "{depth}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_brokers_limit_costs_only_itself() {
    let server = Server::private("transport-size").await;
    let service = server.service.as_ref().unwrap();
    let billing = subscription(10);
    drop(server.transport().subscriber(&billing).await.unwrap());
    let limit = "application:set_env(rabbit, max_message_size, 1000).";
    service.rabbitmqctl(&["eval", limit]).await.unwrap();

    let mut publisher = server.transport().publisher().await.unwrap();
    let mut batch = messages(0..100);
    batch[10] = large(10, 2000);
    batch[11] = large(11, 1000);
    batch[60] = large(60, 1001);
    let outcomes = publisher.publish(&batch).await.unwrap();
    for (place, outcome) in outcomes.into_iter().enumerate() {
        let expected = match place {
            10 | 60 => Outcome::TooLarge,
            _ => Outcome::Confirmed,
        };
        assert_eq!(outcome, expected, "{place}");
    }
    publish(&mut publisher, &messages(0..10)).await;
    let depth = server.depth(&billing.queue).await.unwrap();
    assert!((108..120).contains(&depth), "{depth}");
}
