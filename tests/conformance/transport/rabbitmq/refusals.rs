//! What a person has to mend is called so, with the remedy, and without the password.

use std::error::Error;

use cqrs_core::{
    SecretUrl,
    transport::{
        Transport, TransportError,
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use lapin::{
    ExchangeKind,
    types::{AMQPValue, FieldTable},
};

use super::Server;
use crate::fixture::{Fixture, subscription};

/// All that an operator could see of an error.
fn shown(error: &TransportError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: Vec<_> = causes.map(|cause| format!("{cause}\n{cause:?}")).collect();
    format!("{error}\n{error:?}\n{}", causes.join("\n"))
}

fn assert_misconfigured(error: &TransportError, words: &[&str], secret: &str) {
    let shown = shown(error);
    assert!(
        matches!(error, TransportError::Misconfigured { .. }),
        "{shown}"
    );
    assert!(!shown.contains(secret), "shows the password: {shown}");
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in: {error}");
    }
}

/// The server's URL with another part.
fn with(server: &Server, change: impl Fn(&str, &str, &str) -> String) -> (RabbitMq, String) {
    let url = server.url.expose();
    let (login, rest) = url.trim_start_matches("amqp://").rsplit_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let host = rest.split('/').next().unwrap();
    let url = SecretUrl::new(change(user, password, host));
    (RabbitMq::new(RabbitMqConfig::new(url)), password.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_misconfigured() {
    let server = Server::new().await;
    let (transport, _) = with(&server, |user, _, host| {
        format!("amqp://{user}:wr0ng-s3cret@{host}/%2f")
    });
    let error = transport.publisher().await.unwrap_err();
    assert_misconfigured(&error, &["login", "password"], "wr0ng-s3cret");
    let error = transport.subscriber(&subscription(1)).await.unwrap_err();
    assert_misconfigured(&error, &["login", "password"], "wr0ng-s3cret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_virtual_host_is_misconfigured() {
    let server = Server::new().await;
    let (transport, secret) = with(&server, |user, password, host| {
        format!("amqp://{user}:{password}@{host}/nowhere")
    });
    let error = transport.publisher().await.unwrap_err();
    assert_misconfigured(&error, &["virtual host", "nowhere"], &secret);
    let (transport, secret) = with(&server, |user, password, host| {
        format!("amqp://{user}:{password}@{host}/")
    });
    let error = transport.publisher().await.unwrap_err();
    assert_misconfigured(
        &error,
        &["virtual host \"\"", "leave out the slash"],
        &secret,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_of_another_kind_is_misconfigured() {
    let server = Server::new().await;
    let admin = server.admin().await;
    admin
        .declare_exchange(&server.exchange, ExchangeKind::Fanout)
        .await;
    let error = server.transport().publisher().await.unwrap_err();
    assert_misconfigured(
        &error,
        &[&server.exchange, "declared differently"],
        "no password here",
    );
    admin.close().await;
    server.clean(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_arguments_is_misconfigured() {
    let server = Server::new().await;
    let billing = subscription(10);
    let admin = server.admin().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1000));
    admin.declare_queue(&billing.queue, arguments).await;
    let error = server.transport().subscriber(&billing).await.unwrap_err();
    let name = billing.queue.as_str();
    assert_misconfigured(&error, &[name, "declared differently"], "no password here");
    admin.close().await;
    server.clean(&[&billing.queue]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listening_is_unavailable() {
    let server = Server::new().await;
    let (transport, secret) = with(&server, |user, password, _| {
        format!("amqp://{user}:{password}@127.0.0.1:1/%2f")
    });
    let error = transport.publisher().await.unwrap_err();
    assert!(matches!(error, TransportError::Unavailable(_)), "{error:?}");
    assert!(!shown(&error).contains(&secret));
}
