//! `amqps://` whose issuer is unknown. (That a known one is trusted is seen end to end, since the
//! roots come from the environment of a process.)

use cqrs_core::{
    SecretUrl,
    transport::{
        Transport, TransportError,
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use cqrs_tests::services::variable;

fn transport(exchange: &str) -> RabbitMq {
    let mut config = RabbitMqConfig::new(SecretUrl::new(variable("CQRS_TEST_RABBITMQ_TLS")));
    exchange.clone_into(&mut config.exchange);
    RabbitMq::new(config)
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
