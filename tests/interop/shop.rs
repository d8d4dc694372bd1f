//! A shop with its replicas: databases, queues and processes of one test.

use anyhow::{Context, Result};
use cqrs_core::QueueName;
use cqrs_tests::{
    database::Database,
    process::Process,
    rabbitmq::{self, Admin},
    stack::Stack,
    wait::{Seen, until},
};
use lapin::{
    BasicProperties, Connection, ConnectionProperties, Queue, options::QueueDeclareOptions,
    types::FieldTable,
};

use crate::compare::PATIENCE;

/// Its tables, without Django.
pub(crate) const TABLES: &str = include_str!("shop.sql");
/// The table models of our worker.
const MODELS: &str = include_str!("shop.toml");

/// Databases, exchange and queue that no other test has, and our worker's configuration for the shop's
/// models. The tables are the caller's to make.
pub(crate) async fn open() -> Result<Stack> {
    let stack = Stack::servers().await?;
    configure(&stack, MODELS)?;
    Ok(stack)
}

/// Gives our worker other models.
pub(crate) fn configure(stack: &Stack, models: &str) -> Result<()> {
    let toml = std::fs::read_to_string(stack.config())?;
    let (settings, _) = toml.split_once("[[replica.model]]").context("no models")?;
    std::fs::write(stack.config(), format!("{settings}{models}"))?;
    Ok(())
}

/// Makes the tables of our replica, and starts a worker that keeps them.
pub(crate) async fn our_replica(stack: &Stack) -> Result<Process> {
    make_tables(&stack.replica).await?;
    stack.run("cqrs-replica", &["migrate"]).await?;
    let worker = stack.start("cqrs-replica", "worker")?;
    attended(&stack.queue).await?;
    Ok(worker)
}

pub(crate) async fn make_tables(database: &Database) -> Result<()> {
    for statement in TABLES
        .split_inclusive(';')
        .filter(|part| part.contains("create"))
    {
        database.execute(statement).await?;
    }
    Ok(())
}

/// Waits until a queue has a consumer, and so its bindings.
pub(crate) async fn attended(queue: &str) -> Result<()> {
    consumers(queue, "a consumer", |count| count >= 1).await
}

/// Waits until two programs consume from a queue.
pub(crate) async fn shared(queue: &str) -> Result<()> {
    consumers(queue, "two consumers", |count| count == 2).await
}

/// Waits until nobody consumes from a queue any more.
pub(crate) async fn deserted(queue: &str) -> Result<()> {
    consumers(queue, "no consumer", |count| count == 0).await
}

async fn consumers(queue: &str, what: &str, enough: impl Fn(u32) -> bool) -> Result<()> {
    until(&format!("{queue} has {what}"), PATIENCE, async || {
        Ok(match look(queue).await {
            Ok(found) if enough(found.consumer_count()) => Seen::Yes,
            other => Seen::NotYet(format!("{other:?}")),
        })
    })
    .await
}

/// How many messages wait in a queue to be delivered.
pub(crate) async fn ready(queue: &str) -> Result<u32> {
    Ok(look(queue).await?.message_count())
}

async fn look(name: &str) -> Result<Queue> {
    let connection =
        Connection::connect(rabbitmq::url().expose(), ConnectionProperties::default()).await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let channel = connection.create_channel().await?;
    let queue = channel
        .queue_declare(name.into(), passive, FieldTable::default())
        .await?;
    connection.close(200, "OK".into()).await?;
    Ok(queue)
}

/// Sends a body to the exchange, as somebody else would.
pub(crate) async fn publish(stack: &Stack, routing_key: &str, body: &str) -> Result<()> {
    let admin = Admin::connect(&rabbitmq::url()).await;
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_delivery_mode(2);
    admin
        .publish(&stack.exchange, routing_key, properties, body.as_bytes())
        .await;
    admin.close().await;
    Ok(())
}

/// Takes all that is in a queue.
pub(crate) async fn drain(queue: &str) -> Result<Vec<String>> {
    let admin = Admin::connect(&rabbitmq::url()).await;
    let queue = QueueName::new(queue)?;
    let mut bodies = Vec::new();
    while let Some(message) = admin.get(&queue).await {
        bodies.push(String::from_utf8(message.delivery.data)?);
    }
    admin.close().await;
    Ok(bodies)
}
