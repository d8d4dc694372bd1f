//! A broker's user who may not do everything.

use std::error::Error;

use cqrs_core::{
    QueueName, SecretUrl,
    transport::{
        Ack, Outcome, Publisher, Subscriber, Subscription, Transport, TransportError,
        rabbitmq::RabbitMq,
    },
};

use super::Server;
use crate::fixture::{Fixture, message, next, number, subscription};

/// The server as one user sees it.
async fn user(server: &Server, name: &str, rights: [&str; 3]) -> RabbitMq {
    let service = server.service.as_ref().unwrap();
    let password = "s3cret";
    let users = service.rabbitmqctl(&["list_users"]).await.unwrap();
    if !users
        .lines()
        .any(|line| line.starts_with(&format!("{name}\t")))
    {
        service
            .rabbitmqctl(&["add_user", name, password])
            .await
            .unwrap();
    }
    let mut set = vec!["set_permissions", "-p", "/", name];
    set.extend(rights);
    service.rabbitmqctl(&set).await.unwrap();
    let mut config = server.config();
    let (_, host) = config.url.expose().rsplit_once('@').unwrap();
    config.url = SecretUrl::new(format!("amqp://{name}:{password}@{host}"));
    RabbitMq::new(config)
}

fn billing() -> Subscription {
    let mut billing = subscription(10);
    billing.dead_letter_queue = Some(QueueName::new(&format!("dead-{}", billing.queue)).unwrap());
    billing
}

fn assert_says(error: &TransportError, words: &[&str]) {
    assert!(
        matches!(error, TransportError::Misconfigured { .. }),
        "{error:?}"
    );
    let shown = format!("{error} {error:?} {:?}", error.source());
    assert!(!shown.contains("s3cret"), "{shown}");
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_may_not_configure_work_with_what_is_there() {
    let server = Server::private("transport-rights").await;
    let billing = billing();
    let exchange = format!("^{}$", server.exchange);
    let queues = format!("^(dead-)?{}$", billing.queue);
    let relay = user(&server, "relay", ["^$", &exchange, "^$"]).await;
    let worker = user(&server, "worker", ["^$", "^$", &queues]).await;

    let error = relay.publisher().await.unwrap_err();
    let command = format!(
        "set_permissions -p / relay '^({})$' WRITE READ",
        server.exchange
    );
    assert_says(&error, &[&server.exchange, "configure", &command]);
    let error = worker.subscriber(&billing).await.unwrap_err();
    assert_says(&error, &[&server.exchange, "set_permissions -p / worker"]);
    drop(server.transport().publisher().await.unwrap());
    let error = worker.subscriber(&billing).await.unwrap_err();
    assert_says(
        &error,
        &[billing.queue.as_str(), "configure", "-p / worker"],
    );

    // An administrator makes everything.
    drop(server.transport().subscriber(&billing).await.unwrap());
    let mut subscriber = worker.subscriber(&billing).await.unwrap();
    let mut publisher = relay.publisher().await.unwrap();
    let outcomes = publisher.publish(&[message(1)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Confirmed]);
    let delivery = next(&mut subscriber).await;
    assert_eq!(number(&delivery), 1);
    subscriber.ack(Ack::One(delivery.tag)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_makes_queues_and_may_not_bind_them_is_told() {
    let server = Server::private("transport-binding").await;
    let billing = billing();
    drop(server.transport().publisher().await.unwrap());
    let queues = format!("^(dead-)?{}$", billing.queue);
    let worker = user(&server, "worker", [&queues, "^$", &queues]).await;
    let error = worker.subscriber(&billing).await.unwrap_err();
    let names = format!("CONFIGURE '^({}|{})$'", billing.queue, server.exchange);
    assert_says(&error, &["write and read", "binding", &names]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_read_a_queue_is_told() {
    let server = Server::private("transport-reading").await;
    let billing = billing();
    drop(server.transport().subscriber(&billing).await.unwrap());
    let worker = user(&server, "worker", ["^$", "^$", "^$"]).await;
    let error = worker.subscriber(&billing).await.unwrap_err();
    assert_says(&error, &[billing.queue.as_str(), "read", "-p / worker"]);
}
