//! `amqps://`. The trusted roots come from the environment of the process, so a test with another
//! environment is another process.

use std::process::Command;

use cqrs_core::{
    SecretUrl,
    transport::{
        Publisher, Transport, TransportError,
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use cqrs_tests::{rabbitmq::unique, services::variable};

fn transport(exchange: &str) -> RabbitMq {
    let mut config = RabbitMqConfig::new(SecretUrl::new(variable("CQRS_TEST_RABBITMQ_TLS")));
    exchange.clone_into(&mut config.exchange);
    RabbitMq::new(config)
}

/// Runs a test of this file with the certificate file as its trusted root.
fn run_trusting(test: &str, roots: &str) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", roots)
        .output()
        .unwrap()
}

#[test]
fn a_known_issuer_is_trusted() {
    let output = run_trusting("rabbitmq::tls::publishes", &variable("CQRS_TEST_CA"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_known_issuer_is_trusted, with SSL_CERT_FILE set"]
async fn publishes() {
    let exchange = unique("cqrs");
    let mut publisher = transport(&exchange).publisher().await.unwrap();
    let outcomes = publisher
        .publish(&crate::fixture::messages(0..10))
        .await
        .unwrap();
    assert_eq!(outcomes.len(), 10);
    publisher.close().await;
    let admin = cqrs_tests::rabbitmq::Admin::connect(&cqrs_tests::rabbitmq::url()).await;
    admin.delete_exchange(&exchange).await;
    admin.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_issuer_is_misconfigured() {
    // The system's roots do not know the tests' own CA.
    let error = transport("cqrs").publisher().await.unwrap_err();
    let TransportError::Misconfigured { problem, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        problem.contains("TLS") && problem.contains("SSL_CERT_FILE"),
        "{problem}"
    );
    let password = variable("CQRS_TEST_RABBITMQ_TLS");
    let password = password
        .split(':')
        .nth(2)
        .unwrap()
        .split('@')
        .next()
        .unwrap();
    assert!(!format!("{error:?}").contains(password));
}
