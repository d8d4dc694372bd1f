//! RabbitMQ for tests: the shared server, names of a test's own, and the administrator's view, by
//! lapin directly, so that what our transport does is seen from outside.

use cqrs_core::{QueueName, SecretUrl};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};
use uuid::Uuid;

use crate::services;

/// The shared server.
#[must_use]
pub fn url() -> SecretUrl {
    SecretUrl::new(services::variable("CQRS_TEST_RABBITMQ"))
}

/// A name that no other test has.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "names need no clock of their own"
)]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::now_v7().simple())
}

/// A queue's name that no other test has.
///
/// # Panics
/// When the prefix cannot be part of a queue's name.
#[must_use]
pub fn unique_queue(prefix: &str) -> QueueName {
    QueueName::new(&unique(prefix)).expect("a usable prefix")
}

/// An administrator's connection. Calls panic on any error.
#[derive(Debug)]
pub struct Admin {
    connection: Connection,
    channel: Channel,
}

#[expect(clippy::missing_panics_doc, reason = "all of them, as the type says")]
impl Admin {
    /// Connects.
    pub async fn connect(url: &SecretUrl) -> Self {
        let properties = ConnectionProperties::default().with_connection_name("test admin".into());
        let connection = Connection::connect(url.expose(), properties)
            .await
            .expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel");
        Self {
            connection,
            channel,
        }
    }

    /// Declares an exchange of any kind.
    pub async fn declare_exchange(&self, name: &str, kind: ExchangeKind) {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        self.channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await
            .expect("the exchange is declared");
    }

    /// Declares a durable queue with arguments.
    pub async fn declare_queue(&self, name: &QueueName, arguments: FieldTable) {
        self.channel
            .queue_declare(
                name.as_str().into(),
                QueueDeclareOptions::durable(),
                arguments,
            )
            .await
            .expect("the queue is declared");
    }

    /// Binds a queue.
    pub async fn bind(&self, queue: &QueueName, exchange: &str, routing_key: &str) {
        self.channel
            .queue_bind(
                queue.as_str().into(),
                exchange.into(),
                routing_key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("the queue is bound");
    }

    /// Sends a message as somebody else would.
    pub async fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) {
        self.channel
            .basic_publish(
                exchange.into(),
                routing_key.into(),
                BasicPublishOptions::default(),
                body,
                properties,
            )
            .await
            .expect("the message is sent");
    }

    /// Takes one message, acknowledged at once.
    pub async fn get(&self, queue: &QueueName) -> Option<BasicGetMessage> {
        self.channel
            .basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true })
            .await
            .expect("the queue is there")
    }

    /// Deletes a queue with what is in it; fine if there is none.
    pub async fn delete_queue(&self, queue: &QueueName) {
        self.channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await
            .expect("the queue is deleted");
    }

    /// Deletes an exchange; fine if there is none.
    pub async fn delete_exchange(&self, exchange: &str) {
        self.channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
            .await
            .expect("the exchange is deleted");
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.connection
            .close(200, "OK".into())
            .await
            .expect("a goodbye");
    }
}
