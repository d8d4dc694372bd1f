//! A look into a queue: `basic.get`, one message at a time.

use std::{collections::BTreeMap, future::Future, time::Duration};

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{
    config::RabbitMqConfig,
    connection::Connection,
    error::{self, Fault},
    properties,
};
use crate::{
    QueueName,
    transport::{Browser, Delivery, DeliveryTag, TransportError},
};

/// Looks into a queue of a RabbitMQ: see [`Browser`].
#[derive(Debug)]
pub struct RabbitMqBrowser {
    connection: Connection,
    queue: QueueName,
    timeout: Duration,
    /// What was got and not yet acknowledged.
    open: BTreeMap<u64, Acker>,
}

impl RabbitMqBrowser {
    pub(super) async fn open(
        config: &RabbitMqConfig,
        queue: &QueueName,
    ) -> Result<Self, TransportError> {
        let connection = Connection::open(config, &format!("browser of {queue}")).await?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = connection
            .channel()
            .queue_declare(queue.as_str().into(), passive, FieldTable::default())
            .await;
        match found {
            Ok(_) => Ok(Self {
                connection,
                queue: queue.clone(),
                timeout: config.confirm_timeout,
                open: BTreeMap::new(),
            }),
            Err(error) if error::is_missing(&error) => Err(TransportError::QueueGone {
                queue: queue.clone(),
            }),
            Err(error) => Err(error::declaring(error, &format!("the queue `{queue}`"))),
        }
    }

    async fn in_time<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, TransportError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(error::running),
            Err(_) => Err(Fault::Silent(self.timeout, what).into()),
        }
    }
}

impl Browser for RabbitMqBrowser {
    async fn get(&mut self) -> Result<Option<Delivery>, TransportError> {
        let get = self
            .connection
            .channel()
            .basic_get(self.queue.as_str().into(), BasicGetOptions::default());
        let Some(message) = self.in_time("a question for a message", get).await? else {
            return Ok(None);
        };
        let delivery = message.delivery;
        self.open.insert(delivery.delivery_tag, delivery.acker);
        Ok(Some(Delivery {
            tag: DeliveryTag(delivery.delivery_tag),
            message_id: properties::message_id(&delivery.properties),
            routing_key: delivery.routing_key.to_string(),
            headers: properties::headers(&delivery.properties),
            body: delivery.data.into(),
            redelivered: delivery.redelivered,
        }))
    }

    async fn ack(&mut self, tags: &[DeliveryTag]) -> Result<(), TransportError> {
        for tag in tags {
            let Some(acker) = self.open.remove(&tag.0) else {
                continue;
            };
            let ack = acker.ack(BasicAckOptions::default());
            // Not an error to the driver: the connection is lost and nothing was sent.
            if !self.in_time("an acknowledgement", ack).await? {
                return Err(Fault::AckVoid.into());
            }
        }
        Ok(())
    }

    async fn close(self) {
        self.connection.close().await;
    }
}
