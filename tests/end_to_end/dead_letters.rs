//! The broker's queue of dead letters: what a worker of django-cqrs leaves there and what ours does.

use std::{io::Write as _, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::{
    SecretUrl,
    transport::{
        Headers, Message, Outcome, Publisher, Routing, Transport,
        embedded::{Embedded, EmbeddedConfig},
    },
};
use cqrs_tests::{
    database::Database,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::Value;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(1);
const COPIES: &str = "select cast(count(*) as text) from account_copy";

/// The body of what a worker of django-cqrs has given up.
fn given_up(id: i64) -> String {
    format!(
        r#"{{"signal_type":"SAVE","cqrs_id":"account","instance_data":{{"id":{id},
        "cqrs_revision":0,"cqrs_updated":"2026-11-21 01:06:16.373491+00:00","name":"n",
        "version":1,"note":null}},"previous_data":null,"instance_pk":{id},"correlation_id":null,
        "retries":30,"expires":"2026-11-22T01:06:16+00:00","meta":{{}}}}"#
    )
}

fn routing_key(stack: &Stack) -> String {
    format!("cqrs.dead_letter_{}.account", stack.queue)
}

async fn bury(stack: &Stack, id: i64) -> Result<()> {
    let body = given_up(id);
    if stack.broker.starts_with("embedded") {
        let mut config = EmbeddedConfig::from_url(&SecretUrl::new(&stack.broker))?;
        config.exchange.clone_from(&stack.exchange);
        let message = Message {
            message_id: Uuid::from_u128(u128::from(id.unsigned_abs())),
            routing: Routing::Direct {
                queue: format!("dead_letter_{}", stack.queue).parse()?,
                cqrs_id: "account".parse()?,
            },
            body: Bytes::from(body),
            headers: Headers::default(),
            timestamp: DateTime::UNIX_EPOCH,
        };
        let mut publisher = Embedded::new(config).publisher().await?;
        let outcomes = publisher.publish(&[message]).await?;
        ensure!(outcomes == [Outcome::Confirmed], "{outcomes:?}");
        return Ok(());
    }
    #[cfg(feature = "servers")]
    {
        // As django-cqrs sends it: no id, no headers.
        let properties = lapin::BasicProperties::default()
            .with_content_type("text/plain".into())
            .with_delivery_mode(2)
            .with_expiration("864000000".into());
        let admin = cqrs_tests::rabbitmq::Admin::connect(&SecretUrl::new(&stack.broker)).await;
        admin
            .publish(
                &stack.exchange,
                &routing_key(stack),
                properties,
                body.as_bytes(),
            )
            .await;
        admin.close().await;
    }
    Ok(())
}

async fn listed(stack: &Stack, arguments: &[&str]) -> Result<Vec<Value>> {
    let text = stack.run("cqrs-replica", arguments).await?;
    Ok(serde_json::from_str(&text)?)
}

const AT_BROKER: [&str; 4] = ["dead", "broker", "list", "--json"];
const HERE: [&str; 3] = ["dead", "list", "--json"];

async fn at_broker(stack: &Stack, count: usize) -> Result<Vec<Value>> {
    until("the broker has them", PATIENCE, async || {
        // Until the worker has declared the queue there is none.
        let found = listed(stack, &AT_BROKER).await.ok();
        Ok(Seen::equal(&found.map(|found| found.len()), &Some(count)))
    })
    .await?;
    listed(stack, &AT_BROKER).await
}

async fn copies(database: &Database, count: i64) -> Result<()> {
    until("the rows arrive", PATIENCE, async || {
        Ok(Seen::equal(&database.number(COPIES).await?, &count))
    })
    .await
}

async fn what_django_left_is_imported_and_retried(stack: Stack) -> Result<()> {
    stack.prepare().await?;
    let worker = stack.worker("worker")?;
    at_broker(&stack, 0).await?;
    bury(&stack, 1).await?;
    bury(&stack, 2).await?;
    for _ in 0..2 {
        let found = at_broker(&stack, 2).await?;
        ensure!(
            found[0]["instance_pk"] == "1" && found[0]["retries"] == 30,
            "{found:?}"
        );
    }
    let import = ["dead", "broker", "import", "--limit", "1"];
    let told = stack.run("cqrs-replica", &import).await?;
    ensure!(told.contains("1 letter imported"), "{told}");
    let letters = listed(&stack, &HERE).await?;
    ensure!(
        letters.len() == 1 && letters[0]["reason"] == "imported" && letters[0]["attempts"] == 30,
        "{letters:?}"
    );
    at_broker(&stack, 1).await?;
    let import = ["dead", "broker", "import", "--retry"];
    stack.run("cqrs-replica", &import).await?;
    copies(&stack.replica, 1).await?;
    stack
        .run("cqrs-replica", &["dead", "retry", "--all"])
        .await?;
    copies(&stack.replica, 2).await?;
    at_broker(&stack, 0).await?;
    worker.terminate().await
}

async fn ours_are_published_for_the_tools_of_django(stack: Stack) -> Result<()> {
    // The model stands last in the file.
    std::fs::OpenOptions::new()
        .append(true)
        .open(stack.config())?
        .write_all(b"max_attempts = 1\npublish_dead_letters = true\n")?;
    stack.prepare().await?;
    stack.replica.execute("drop table account_copy").await?;
    let other = "create table account_copy (id bigint primary key, name text not null,
                 version bigint not null, remark text not null)";
    stack.replica.execute(other).await?;
    let worker = stack.worker("worker")?;
    at_broker(&stack, 0).await?;
    bury(&stack, 1).await?;
    // It dies here of its null, and goes back to where it came from.
    let import = ["dead", "broker", "import", "--retry"];
    stack.run("cqrs-replica", &import).await?;
    let found = at_broker(&stack, 1).await?;
    ensure!(
        found[0]["retries"] == 1 && found[0]["message_id"].is_string(),
        "{found:?}"
    );
    ensure!(found[0]["routing_key"] == routing_key(&stack), "{found:?}");
    until("that is remembered", PATIENCE, async || {
        let letters = listed(&stack, &HERE).await?;
        Ok(Seen::equal(&letters[0]["published_at"].is_string(), &true))
    })
    .await?;
    let told = stack
        .run("cqrs-replica", &["dead", "broker", "import"])
        .await?;
    ensure!(told.contains("1 were here already"), "{told}");
    worker.terminate().await
}

mod embedded {
    use super::*;

    #[tokio::test]
    async fn what_django_left_is_imported_and_retried() -> Result<()> {
        super::what_django_left_is_imported_and_retried(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn ours_are_published_for_the_tools_of_django() -> Result<()> {
        super::ours_are_published_for_the_tools_of_django(Stack::embedded().await?).await
    }
}

#[cfg(feature = "servers")]
mod servers {
    use super::*;

    #[tokio::test]
    async fn what_django_left_is_imported_and_retried() -> Result<()> {
        super::what_django_left_is_imported_and_retried(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn ours_are_published_for_the_tools_of_django() -> Result<()> {
        super::ours_are_published_for_the_tools_of_django(Stack::servers().await?).await
    }
}
