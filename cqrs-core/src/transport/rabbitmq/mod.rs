//! RabbitMQ, with the exchange, queues, bindings and routing keys of django-cqrs.
//!
//! Guarantees: a confirmed message is persistent in every durable queue bound to its key; a message
//! nobody is bound to is told apart, whatever else is in the batch. Each publisher and subscriber has
//! one connection and one channel of its own, and no recovery in it: after any error, connect again.
//!
//! | failure | what the caller sees |
//! |---|---|
//! | broker down, restarting, silent | `Unavailable`, at the latest after the timeout |
//! | publishers blocked by an alarm | nothing: a publisher waits on its connection until it is over |
//! | channel closed by `consumer_timeout`, exchange deleted | `Unavailable`: connecting declares anew |
//! | queue deleted | `QueueGone` |
//! | bad login, virtual host, certificate; no right to make what is not there; declarations by which a queue drops messages (406) | `Misconfigured` |
//! | the node of a queue is down | `Unavailable`, with RabbitMQ's words |
//! | nack; no permission for the routing key (403) | [`Outcome::Refused`](super::Outcome::Refused) |
//! | a body over `max_message_size` (406) | [`Outcome::TooLarge`](super::Outcome::TooLarge) |
//! | no queue bound | [`Outcome::Unroutable`](super::Outcome::Unroutable) |
//! | a message with properties that are not UTF-8, or not to be read at all | the message, with `?` for such bytes, or without its properties |

mod arguments;
mod browser;
mod config;
mod connection;
mod error;
mod frames;
mod in_flight;
mod properties;
mod publisher;
mod stream;
mod subscriber;
mod topology;

use std::{future::Future, num::NonZeroU16, sync::Arc};

use lapin::{options::QueueDeclareOptions, types::FieldTable};

pub use browser::RabbitMqBrowser;
pub use config::RabbitMqConfig;
pub use publisher::RabbitMqPublisher;
pub use subscriber::RabbitMqSubscriber;

use self::{connection::Connection, error::Fault};
use super::{Browse, Subscription, Transport, TransportError};
use crate::{CqrsId, QueueName};

/// A RabbitMQ, or another broker that speaks AMQP 0-9-1 with publisher confirms.
#[derive(Debug, Clone)]
pub struct RabbitMq {
    config: Arc<RabbitMqConfig>,
}

impl RabbitMq {
    /// A broker by its settings. Nothing is connected or checked yet.
    #[must_use]
    pub fn new(config: RabbitMqConfig) -> Self {
        Self {
            config: Arc::new(config),
        }
    }

    /// How many messages are ready in a queue: those that no subscriber holds. On a connection of
    /// its own, so not for often.
    ///
    /// # Errors
    /// [`TransportError::QueueGone`] when there is no such queue; otherwise as connecting.
    pub async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        self.in_time(async {
            let connection = Connection::open(&self.config, "depth").await?;
            let passive = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let answer = connection
                .channel()
                .queue_declare(queue.as_str().into(), passive, FieldTable::default())
                .await;
            connection.close().await;
            match answer {
                Ok(found) => Ok(u64::from(found.message_count())),
                Err(error) if error::is_missing(&error) => Err(TransportError::QueueGone {
                    queue: queue.clone(),
                }),
                Err(error) => Err(error::declaring(error, &format!("the queue `{queue}`"))),
            }
        })
        .await
    }

    /// A peer may accept and then say nothing.
    async fn in_time<T>(
        &self,
        opening: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let limit = self.config.connect_timeout;
        match tokio::time::timeout(limit, opening).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Silent(limit, "connecting").into()),
        }
    }
}

impl Transport for RabbitMq {
    type Publisher = RabbitMqPublisher;
    type Subscriber = RabbitMqSubscriber;

    async fn publisher(&self) -> Result<RabbitMqPublisher, TransportError> {
        self.in_time(RabbitMqPublisher::open(&self.config)).await
    }

    async fn subscriber(
        &self,
        subscription: &Subscription,
    ) -> Result<RabbitMqSubscriber, TransportError> {
        self.in_time(RabbitMqSubscriber::open(&self.config, subscription))
            .await
    }

    async fn temporary(
        &self,
        queue: &QueueName,
        keys: &[CqrsId],
        prefetch: NonZeroU16,
    ) -> Result<RabbitMqSubscriber, TransportError> {
        let config = &self.config;
        self.in_time(RabbitMqSubscriber::open_temporary(
            config, queue, keys, prefetch,
        ))
        .await
    }
}

impl Browse for RabbitMq {
    type Browser = RabbitMqBrowser;

    async fn browse(&self, queue: &QueueName) -> Result<RabbitMqBrowser, TransportError> {
        self.in_time(RabbitMqBrowser::open(&self.config, queue))
            .await
    }

    async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        Self::depth(self, queue).await
    }

    async fn unbind(&self, queue: &QueueName, cqrs_id: &CqrsId) -> Result<(), TransportError> {
        self.in_time(async {
            let connection = Connection::open(&self.config, "unbind").await?;
            let exchange = &self.config.exchange;
            let answer = topology::unbind(&connection, exchange, queue, cqrs_id).await;
            connection.close().await;
            answer
        })
        .await
    }
}
