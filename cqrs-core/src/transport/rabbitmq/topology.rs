//! Exchange, queues and bindings, as django-cqrs declares them. Any other flag or argument would be
//! refused by the broker (406) where a Django service was first, unless it is one that we adopt.

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::{
    arguments::{self, Adopted},
    config::RabbitMqConfig,
    connection::Connection,
    error::{self, Right},
};
use crate::{
    CqrsId, QueueName,
    transport::{Routing, Subscription, TransportError},
};

/// A durable topic exchange without arguments. A user who may not configure it takes what is there.
pub(super) async fn declare_exchange(
    connection: &mut Connection,
    exchange: &str,
) -> Result<(), TransportError> {
    let object = format!("the exchange `{exchange}`");
    let declare = async |connection: &Connection, passive| {
        let options = ExchangeDeclareOptions {
            passive,
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let channel = connection.channel();
        channel
            .exchange_declare(
                exchange.into(),
                ExchangeKind::Topic,
                options,
                FieldTable::default(),
            )
            .await
    };
    let error = match declare(connection, false).await {
        Ok(()) => return Ok(()),
        Err(error) if !error::is_forbidden(&error) => {
            return Err(error::declaring(error, &object));
        }
        Err(error) => error,
    };
    connection.reopen_channel().await?;
    match declare(connection, true).await {
        Ok(()) => Ok(()),
        Err(other) if error::is_missing(&other) => {
            let rights = [Right::Configure];
            Err(error::forbidden(
                error, connection, &object, exchange, &rights,
            ))
        }
        Err(other) => Err(error::declaring(other, &object)),
    }
}

/// Both queues and the bindings of each model.
pub(super) async fn declare_queues(
    connection: &mut Connection,
    config: &RabbitMqConfig,
    subscription: &Subscription,
) -> Result<(), TransportError> {
    let queue = &subscription.queue;
    let keys = subscription
        .cqrs_ids
        .iter()
        .flat_map(|cqrs_id| Routing::both(queue, cqrs_id));
    declare_queue(connection, config, queue, keys.collect()).await?;
    if let Some(dead) = &subscription.dead_letter_queue {
        let direct = |cqrs_id: &CqrsId| Routing::Direct {
            queue: dead.clone(),
            cqrs_id: cqrs_id.clone(),
        };
        let keys = subscription.cqrs_ids.iter().map(direct);
        declare_queue(connection, config, dead, keys.collect()).await?;
    }
    Ok(())
}

/// A durable queue, neither exclusive nor deleted by itself, and its bindings. A user who may not
/// configure it takes the queue that is there, and who may not bind it either takes it as bound.
async fn declare_queue(
    connection: &mut Connection,
    config: &RabbitMqConfig,
    queue: &QueueName,
    keys: Vec<Routing>,
) -> Result<(), TransportError> {
    let is_ours = declare_or_find(connection, config, queue).await?;
    for key in &keys {
        let Err(error) = bind(connection, &config.exchange, queue, key).await else {
            continue;
        };
        let object = format!("the binding of the queue `{queue}`");
        if !error::is_forbidden(&error) {
            return Err(error::declaring(error, &object));
        }
        if is_ours {
            let rights = [Right::Write, Right::Read];
            let (queue, exchange) = (queue.as_str(), &config.exchange);
            let names = format!("{queue}|{exchange}");
            return Err(error::forbidden(
                error, connection, &object, &names, &rights,
            ));
        }
        connection.reopen_channel().await?;
        let keys: Vec<_> = keys.iter().map(Routing::key).collect();
        tracing::warn!(
            %queue,
            exchange = config.exchange,
            ?keys,
            "the broker's user may not bind the queue, nor see whether it is bound: it is taken as \
             bound with these keys (`rabbitmqctl list_bindings`)"
        );
        return Ok(());
    }
    Ok(())
}

/// Answers whether the user may configure the queue.
async fn declare_or_find(
    connection: &mut Connection,
    config: &RabbitMqConfig,
    queue: &QueueName,
) -> Result<bool, TransportError> {
    let object = format!("the queue `{queue}`");
    let declare = async |connection: &Connection, passive, arguments| {
        let options = QueueDeclareOptions {
            passive,
            ..QueueDeclareOptions::durable()
        };
        let channel = connection.channel();
        channel
            .queue_declare(queue.as_str().into(), options, arguments)
            .await
    };
    let mut arguments = arguments::of(config.queue_type);
    let error = loop {
        let Err(error) = declare(connection, false, arguments.table()).await else {
            arguments.check(queue)?;
            return Ok(true);
        };
        let reason = error::reason(&error);
        match reason.map_or(Adopted::Refused, |reason| arguments.adopt(reason)) {
            Adopted::Taken => connection.reopen_channel().await?,
            Adopted::CutOff => break error,
            Adopted::Refused if error::is_forbidden(&error) => break error,
            Adopted::Refused => return Err(error::declaring(error, &object)),
        }
    };
    connection.reopen_channel().await?;
    match declare(connection, true, FieldTable::default()).await {
        Ok(_) => Ok(!error::is_forbidden(&error)),
        Err(other) if error::is_missing(&other) => {
            let rights = [Right::Configure];
            let name = queue.as_str();
            Err(error::forbidden(error, connection, &object, name, &rights))
        }
        Err(other) => Err(error::declaring(other, &object)),
    }
}

/// A queue that the broker deletes with its last consumer, or after a while without one, bound to
/// broadcasts with these keys. Durable, since RabbitMQ is to give up those that are not.
pub(super) async fn declare_temporary(
    connection: &Connection,
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
    let declaring = |error| error::declaring(error, &format!("the queue `{queue}`"));
    connection
        .channel()
        .queue_declare(queue.as_str().into(), options, arguments)
        .await
        .map_err(declaring)?;
    for key in keys {
        let key = Routing::Broadcast(key.clone());
        let bound = bind(connection, exchange, queue, &key).await;
        bound.map_err(declaring)?;
    }
    Ok(())
}

/// After so many milliseconds without a consumer a temporary queue goes.
const UNUSED: i32 = 60_000;

/// Removes the bindings of a model.
pub(super) async fn unbind(
    connection: &Connection,
    exchange: &str,
    queue: &QueueName,
    cqrs_id: &CqrsId,
) -> Result<(), TransportError> {
    for routing in Routing::both(queue, cqrs_id) {
        let answer = connection.channel().queue_unbind(
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
    connection: &Connection,
    exchange: &str,
    queue: &QueueName,
    routing: &Routing,
) -> Result<(), lapin::Error> {
    connection
        .channel()
        .queue_bind(
            queue.as_str().into(),
            exchange.into(),
            routing.key().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}
