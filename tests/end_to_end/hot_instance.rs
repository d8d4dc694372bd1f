//! One instance that changes all the time, and others.

use std::{num::NonZeroU16, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_core::{
    QueueName, SecretUrl, Slot,
    transport::{
        Ack, Subscriber, Subscription, Transport,
        embedded::{Embedded, EmbeddedConfig},
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use cqrs_tests::{database::Database, stack::Stack};

const PATIENCE: Duration = Duration::from_mins(2);
const HOT: usize = 20_000;

/// Rows of instance 1 and, after all of them, one of instance 2.
async fn fill(stack: &Stack) -> Result<()> {
    let hot = i64::try_from(HOT)?;
    let slot = |key| i64::from(Slot::of("account", key).number());
    match &stack.master {
        Database::Postgres { pool, .. } => {
            sqlx::query(
                "insert into cqrs_outbox (message_id, slot, cqrs_id, instance_pk, signal, revision, body)
                 select gen_random_uuid(), case when n < $1 then $2 else $3 end, 'account',
                     case when n < $1 then '1' else '2' end, 'SAVE', case when n < $1 then n else 0 end, '{}'
                 from generate_series(0, $1) as n
                 order by n",
            )
            .bind(hot)
            .bind(slot("1"))
            .bind(slot("2"))
            .execute(pool)
            .await?;
        }
        Database::Sqlite { pool, .. } => {
            sqlx::query(
                "insert into cqrs_outbox
                     (message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at)
                 with recursive change (n) as (select 0 union all select n + 1 from change where n < ?1)
                 select printf('00000000-0000-4000-8000-%012x', n), iif(n < ?1, ?2, ?3), 'account',
                     iif(n < ?1, '1', '2'), 'SAVE', iif(n < ?1, n, 0), '{}', 0
                 from change
                 order by n",
            )
            .bind(hot)
            .bind(slot("1"))
            .bind(slot("2"))
            .execute(pool)
            .await?;
        }
    }
    Ok(())
}

/// How many messages come before one with another body.
async fn others_are_not_kept_waiting<T: Transport>(stack: Stack, broker: T) -> Result<()> {
    stack.migrate().await?;
    fill(&stack).await?;
    let mark = "update cqrs_outbox set body = '{\"other\": true}' where instance_pk = '2'";
    ensure!(stack.master.execute(mark).await? == 1, "one other row");
    let subscription = Subscription {
        queue: QueueName::new(&stack.queue)?,
        dead_letter_queue: None,
        cqrs_ids: vec!["account".parse()?],
        prefetch: NonZeroU16::new(1000).context("not 0")?,
    };
    let mut subscriber = broker.subscriber(&subscription).await?;
    let relay = stack.relay("relay")?;
    let (mut seen, mut before) = (0, None);
    let all = async {
        while seen <= HOT {
            let delivery = subscriber.next().await?;
            if delivery.body.len() > 2 {
                before = Some(seen);
            }
            seen += 1;
            if seen % 100 == 0 {
                subscriber.ack(Ack::UpTo(delivery.tag)).await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all).await??;
    let before = before.context("the other row has come")?;
    ensure!(
        before < HOT / 2,
        "{before} of {HOT} came before the other row"
    );
    relay.terminate().await
}

#[tokio::test]
async fn others_are_not_kept_waiting_embedded() -> Result<()> {
    let stack = Stack::embedded().await?;
    let mut config = EmbeddedConfig::from_url(&SecretUrl::new(&stack.broker))?;
    config.exchange.clone_from(&stack.exchange);
    others_are_not_kept_waiting(stack, Embedded::new(config)).await
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn others_are_not_kept_waiting_on_servers() -> Result<()> {
    let stack = Stack::servers().await?;
    let mut config = RabbitMqConfig::new(SecretUrl::new(&stack.broker));
    config.exchange.clone_from(&stack.exchange);
    others_are_not_kept_waiting(stack, RabbitMq::new(config)).await
}
