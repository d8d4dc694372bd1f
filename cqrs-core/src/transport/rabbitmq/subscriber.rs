//! The receiving end.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU16,
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{
    Acker, Consumer,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};

use super::{
    config::RabbitMqConfig,
    connection::Connection,
    error::{self, Fault, Right},
    properties, topology,
};
use crate::{
    CqrsId, QueueName,
    transport::{Ack, Delivery, DeliveryTag, Subscriber, Subscription, TransportError},
};

/// Receives from a RabbitMQ: see [`Subscriber`].
#[derive(Debug)]
pub struct RabbitMqSubscriber {
    connection: Connection,
    /// A stream, whose buffer the prefetch bounds. (The driver's delegates would run one task per
    /// message, with no end to wait for.)
    consumer: Consumer,
    /// Those before it, cancelled: what they were sent comes first.
    before: VecDeque<Consumer>,
    queue: QueueName,
    ack_timeout: Duration,
    /// What is delivered and not yet acknowledged.
    open: BTreeMap<u64, Acker>,
}

impl RabbitMqSubscriber {
    pub(super) async fn open(
        config: &RabbitMqConfig,
        subscription: &Subscription,
    ) -> Result<Self, TransportError> {
        let queue = subscription.queue.clone();
        let mut connection = Connection::open(config, &format!("subscriber of {queue}")).await?;
        topology::declare_exchange(&mut connection, &config.exchange).await?;
        topology::declare_queues(&mut connection, config, subscription).await?;
        Self::consume(config, connection, queue, subscription.prefetch).await
    }

    pub(super) async fn open_temporary(
        config: &RabbitMqConfig,
        queue: &QueueName,
        keys: &[CqrsId],
        prefetch: NonZeroU16,
    ) -> Result<Self, TransportError> {
        let mut connection = Connection::open(config, &format!("subscriber of {queue}")).await?;
        topology::declare_exchange(&mut connection, &config.exchange).await?;
        topology::declare_temporary(&connection, &config.exchange, queue, keys).await?;
        Self::consume(config, connection, queue.clone(), prefetch).await
    }

    async fn consume(
        config: &RabbitMqConfig,
        connection: Connection,
        queue: QueueName,
        prefetch: NonZeroU16,
    ) -> Result<Self, TransportError> {
        let consumer = match begin(&connection, &queue, prefetch).await {
            Ok(consumer) => consumer,
            Err(error) => {
                let object = format!("the queue `{queue}`");
                if !error::is_forbidden(&error) {
                    return Err(error::declaring(error, &object));
                }
                let (name, rights) = (queue.as_str(), [Right::Read]);
                let forbidden = error::forbidden(error, &connection, &object, name, &rights);
                return Err(forbidden);
            }
        };
        Ok(Self {
            connection,
            consumer,
            before: VecDeque::new(),
            queue,
            ack_timeout: config.confirm_timeout,
            open: BTreeMap::new(),
        })
    }

    /// Why the consumer's stream has ended: the broker cancels it when the queue is deleted, but
    /// also when the queue's node goes down, and the driver ends it with the connection.
    async fn ended(&self) -> TransportError {
        if !self.connection.usable() {
            return Fault::ConsumerEnded.into();
        }
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let look = async {
            let channel = self.connection.second_channel().await?;
            channel
                .queue_declare(self.queue.as_str().into(), passive, FieldTable::default())
                .await
        };
        match tokio::time::timeout(self.ack_timeout, look).await {
            Err(_) => Fault::Silent(self.ack_timeout, "a question about the queue").into(),
            Ok(Err(error)) if !error::is_missing(&error) => error::running(error),
            // There, yet its consumers were cancelled: someone deleted and declared it again.
            Ok(Err(_) | Ok(_)) => TransportError::QueueGone {
                queue: self.queue.clone(),
            },
        }
    }
}

/// Starts to consume. The prefetch is that of this consumer alone.
async fn begin(
    connection: &Connection,
    queue: &QueueName,
    prefetch: NonZeroU16,
) -> Result<Consumer, lapin::Error> {
    let channel = connection.channel();
    channel
        .basic_qos(prefetch.get(), BasicQosOptions { global: false })
        .await?;
    channel
        .basic_consume(
            queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
}

impl Subscriber for RabbitMqSubscriber {
    async fn next(&mut self) -> Result<Delivery, TransportError> {
        let mut next = None;
        while next.is_none()
            && let Some(before) = self.before.front_mut()
        {
            next = before.next().await;
            if next.is_none() {
                self.before.pop_front();
            }
        }
        if next.is_none() {
            next = self.consumer.next().await;
        }
        let delivery = match next {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(error::running(error)),
            None => return Err(self.ended().await),
        };
        self.open.insert(delivery.delivery_tag, delivery.acker);
        Ok(Delivery {
            tag: DeliveryTag(delivery.delivery_tag),
            message_id: properties::message_id(&delivery.properties),
            routing_key: delivery.routing_key.to_string(),
            headers: properties::headers(&delivery.properties),
            body: delivery.data.into(),
            redelivered: delivery.redelivered,
        })
    }

    async fn set_prefetch(&mut self, prefetch: NonZeroU16) -> Result<(), TransportError> {
        // A consumer keeps the prefetch it began with. One after the other: two at a time would get
        // the messages of an instance in any order.
        let change = async {
            self.connection
                .channel()
                .basic_cancel(self.consumer.tag(), BasicCancelOptions::default())
                .await?;
            begin(&self.connection, &self.queue, prefetch).await
        };
        let next = match tokio::time::timeout(self.ack_timeout, change).await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) if error::is_missing(&error) => {
                return Err(TransportError::QueueGone {
                    queue: self.queue.clone(),
                });
            }
            Ok(Err(error)) => return Err(error::running(error)),
            Err(_) => return Err(Fault::Silent(self.ack_timeout, "another prefetch").into()),
        };
        self.before
            .push_back(std::mem::replace(&mut self.consumer, next));
        Ok(())
    }

    async fn ack(&mut self, ack: Ack) -> Result<(), TransportError> {
        let (acker, multiple) = match ack {
            Ack::One(tag) => (self.open.remove(&tag.0), false),
            Ack::UpTo(tag) => {
                let later = match tag.0.checked_add(1) {
                    Some(next) => self.open.split_off(&next),
                    None => BTreeMap::new(),
                };
                let mut done = std::mem::replace(&mut self.open, later);
                // The highest that is open: to the broker, a tag that was acknowledged alone before
                // is unknown, and an error.
                (done.pop_last().map(|(_, acker)| acker), true)
            }
        };
        // Acknowledged before.
        let Some(acker) = acker else { return Ok(()) };
        let sent = acker.ack(BasicAckOptions { multiple });
        match tokio::time::timeout(self.ack_timeout, sent).await {
            Ok(Ok(true)) => Ok(()),
            // Not an error to the driver: the connection is lost and nothing was sent.
            Ok(Ok(false)) => Err(Fault::AckVoid.into()),
            Ok(Err(error)) => Err(error::running(error)),
            Err(_) => Err(Fault::Silent(self.ack_timeout, "an acknowledgement").into()),
        }
    }

    async fn close(self) {
        self.connection.close().await;
    }
}
