//! Exchange, queues and bindings, exactly as django-cqrs declares them. Any other flag or argument
//! would be refused by the broker (406) where a Django service was first.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::error;
use crate::{
    CqrsId, QueueName,
    transport::{Routing, Subscription, TransportError},
};

/// A durable topic exchange without arguments.
pub(super) async fn declare_exchange(
    channel: &Channel,
    exchange: &str,
) -> Result<(), TransportError> {
    channel
        .exchange_declare(
            exchange.into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            },
            FieldTable::default(),
        )
        .await
        .map_err(|e| error::declaring(e, &format!("the exchange `{exchange}`")))
}

/// Both queues and the bindings of each model.
pub(super) async fn declare_queues(
    channel: &Channel,
    exchange: &str,
    subscription: &Subscription,
) -> Result<(), TransportError> {
    let queue = &subscription.queue;
    declare_queue(channel, queue).await?;
    if let Some(dead) = &subscription.dead_letter_queue {
        declare_queue(channel, dead).await?;
    }
    for cqrs_id in &subscription.cqrs_ids {
        for routing in Routing::both(queue, cqrs_id) {
            bind(channel, exchange, queue, &routing).await?;
        }
        if let Some(dead) = &subscription.dead_letter_queue {
            let direct = Routing::Direct {
                queue: dead.clone(),
                cqrs_id: cqrs_id.clone(),
            };
            bind(channel, exchange, dead, &direct).await?;
        }
    }
    Ok(())
}

/// A queue that the broker deletes with its last consumer, or after a while without one, bound to
/// broadcasts with these keys. Durable, since RabbitMQ is to give up those that are not.
pub(super) async fn declare_temporary(
    channel: &Channel,
    exchange: &str,
    queue: &QueueName,
    keys: &[CqrsId],
) -> Result<(), TransportError> {
    let options = QueueDeclareOptions {
        auto_delete: true,
        ..QueueDeclareOptions::durable()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(UNUSED));
    channel
        .queue_declare(queue.as_str().into(), options, arguments)
        .await
        .map_err(|e| error::declaring(e, &format!("the queue `{queue}`")))?;
    for key in keys {
        bind(channel, exchange, queue, &Routing::Broadcast(key.clone())).await?;
    }
    Ok(())
}

/// After so many milliseconds without a consumer a temporary queue goes.
const UNUSED: i32 = 60_000;

/// A durable queue, neither exclusive nor deleted by itself, without arguments.
async fn declare_queue(channel: &Channel, queue: &QueueName) -> Result<(), TransportError> {
    channel
        .queue_declare(
            queue.as_str().into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await
        .map(drop)
        .map_err(|e| error::declaring(e, &format!("the queue `{queue}`")))
}

/// Removes the bindings of a model.
pub(super) async fn unbind(
    channel: &Channel,
    exchange: &str,
    queue: &QueueName,
    cqrs_id: &CqrsId,
) -> Result<(), TransportError> {
    for routing in Routing::both(queue, cqrs_id) {
        let answer = channel.queue_unbind(
            queue.as_str().into(),
            exchange.into(),
            routing.key().into(),
            FieldTable::default(),
        );
        match answer.await {
            Ok(()) => {}
            Err(error) if error::is_missing(&error) => {
                return Err(TransportError::QueueGone {
                    queue: queue.clone(),
                });
            }
            Err(error) => return Err(error::declaring(error, &format!("the queue `{queue}`"))),
        }
    }
    Ok(())
}

async fn bind(
    channel: &Channel,
    exchange: &str,
    queue: &QueueName,
    routing: &Routing,
) -> Result<(), TransportError> {
    channel
        .queue_bind(
            queue.as_str().into(),
            exchange.into(),
            routing.key().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(|e| error::declaring(e, &format!("the queue `{queue}`")))
}
