//! Another process on an embedded broker's file, to be killed: `embedded-peer publisher|consumer
//! FILE QUEUE`. It reports what it has done, one number a line.

use std::num::NonZeroU16;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::transport::{
    Headers, Message, Outcome, Publisher, Routing, Subscriber, Subscription, Transport,
    embedded::{Embedded, EmbeddedConfig},
};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().context(what);
    let (role, file, queue) = (next("a role")?, next("a file")?, next("a queue")?);
    let broker = Embedded::new(EmbeddedConfig::new(file));
    match role.as_str() {
        "publisher" => publish(&broker).await,
        "consumer" => consume(&broker, &queue).await,
        other => bail!("no such role: {other}"),
    }
}

/// Ten at a time; reports how many are confirmed.
async fn publish(broker: &Embedded) -> Result<()> {
    let mut publisher = broker.publisher().await?;
    let mut sent = 0_u32;
    loop {
        let messages: Vec<_> = (sent..sent + 10).map(message).collect::<Result<_>>()?;
        let outcomes = publisher.publish(&messages).await?;
        ensure!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Outcome::Confirmed),
            "{outcomes:?}"
        );
        sent += 10;
        report(&sent.to_string());
    }
}

/// Reports what comes and acknowledges nothing.
async fn consume(broker: &Embedded, queue: &str) -> Result<()> {
    let subscription = Subscription {
        queue: queue.parse()?,
        dead_letter_queue: None,
        cqrs_ids: vec!["account".parse()?],
        prefetch: NonZeroU16::new(10).context("ten is not zero")?,
    };
    let mut subscriber = broker.subscriber(&subscription).await?;
    loop {
        report(std::str::from_utf8(&subscriber.next().await?.body)?);
    }
}

fn message(number: u32) -> Result<Message> {
    Ok(Message {
        message_id: Uuid::from_u128(number.into()),
        routing: Routing::Broadcast("account".parse()?),
        body: Bytes::from(number.to_string()),
        headers: Headers::default(),
        timestamp: DateTime::UNIX_EPOCH,
    })
}

#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn report(number: &str) {
    println!("{number}");
}
