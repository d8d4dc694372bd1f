//! What a Django replica stumbles over, and that our messages are free of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    process::Process,
    rabbitmq::{self, Admin},
    stack::Stack,
    wait::{Seen, until},
};
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::{
    compare::PATIENCE,
    django::{Consumer, Django},
    our_master, shop,
};

/// A master of ours and a Django replica that gives up at once.
async fn pair(use_tz: &str) -> Result<(Stack, Process, Consumer)> {
    let stack = shop::open().await?;
    let django = Django::replica(&stack, &stack.replica, &stack.queue)
        .with("INTEROP_USE_TZ", use_tz)
        .with("INTEROP_MAX_RETRIES", "0");
    django.migrate().await?;
    let consumer = django.consumer("django", 1)?;
    let relay = our_master::open(&stack).await?;
    shop::attended(&stack.queue).await?;
    Ok((stack, relay, consumer))
}

fn country(code: &str) -> Change {
    Change::json(
        "country",
        code,
        Signal::Save,
        json!({"code": code, "name": code}),
    )
}

async fn record(stack: &Stack, change: Change) -> Result<()> {
    let mut tx = outbox::begin(our_master::pool(&stack.master)).await?;
    outbox::record(&mut tx, change).await?;
    Ok(tx.commit().await?)
}

/// Waits until the Django replica has these countries.
async fn countries(stack: &Stack, expected: &[&str]) -> Result<()> {
    let expected: Vec<_> = expected
        .iter()
        .map(|code| vec![Some((*code).to_owned())])
        .collect();
    until("the countries are there", PATIENCE, async || {
        let rows = stack
            .replica
            .rows("select code from country order by code")
            .await?;
        Ok(Seen::equal(&rows, &expected))
    })
    .await
}

async fn logged(consumer: &Consumer, what: &str) -> Result<()> {
    until(what, PATIENCE, async || {
        let log = consumer.log();
        Ok(if log.contains(what) {
            Seen::Yes
        } else {
            Seen::NotYet(log)
        })
    })
    .await
}

/// With a time to live and without one, of each kind of text, and a delete by a key that is not `id`.
#[tokio::test]
async fn expiries_are_read_with_time_zones() -> Result<()> {
    let (stack, relay, consumer) = pair("yes").await?;
    record(&stack, country("a").expires_in(Duration::from_hours(1))).await?;
    record(&stack, country("b")).await?;
    record(&stack, country("c")).await?;
    record(&stack, Change::json("country", "c", Signal::Delete, ())).await?;
    countries(&stack, &["a", "b"]).await?;
    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    relay.terminate().await?;
    consumer.terminate().await
}

/// Direct syncs, and what travels beside the state.
#[tokio::test]
async fn previous_data_meta_and_direct_syncs_arrive() -> Result<()> {
    const ARTICLES: &str = "select title, cast(previous as text), cast(meta as text) from article";
    let (stack, relay, consumer) = pair("yes").await?;
    let article = |signal, title| {
        let data = json!({"id": 1, "title": title, "published": true});
        Change::json("article", 1, signal, data).correlation_id(format!("for {title}"))
    };
    let article_is = async |title: &str, previous: Option<&str>, meta: &str| {
        let text = |text: &str| Some(text.to_owned());
        let expected = vec![vec![text(title), previous.and_then(text), text(meta)]];
        until("the article is there", PATIENCE, async || {
            Ok(Seen::equal(&stack.replica.rows(ARTICLES).await?, &expected))
        })
        .await
    };
    record(
        &stack,
        article(Signal::Save, "one").meta(json!({"by": "☃"})),
    )
    .await?;
    article_is("one", None, "{\"by\": \"☃\"}").await?;
    let before = json!({"id": 1, "title": "one", "published": true});
    record(&stack, article(Signal::Save, "two").previous_json(before)).await?;
    article_is("two", Some("{\"title\": \"one\"}"), "{}").await?;

    let spy = rabbitmq::unique_queue("spy");
    let admin = Admin::connect(&rabbitmq::url()).await;
    admin.declare_queue(&spy, FieldTable::default()).await;
    admin.bind(&spy, &stack.exchange, "article").await;
    record(
        &stack,
        article(Signal::Sync, "three").to_queue(&stack.queue),
    )
    .await?;
    article_is("three", None, "{}").await?;
    ensure!(admin.get(&spy).await.is_none(), "it went to all");
    admin.delete_queue(&spy).await;
    let about = "correlation_id = for three";
    ensure!(consumer.log().contains(about), "{}", consumer.log());
    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    relay.terminate().await?;
    consumer.terminate().await
}

/// What has expired by the time it is read is in Django's own dead letter queue, with its revision.
#[tokio::test]
async fn what_expires_on_its_way_is_djangos_dead_letter() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::replica(&stack, &stack.replica, &stack.queue);
    django.migrate().await?;
    // It makes the queue and its bindings, and goes.
    let consumer = django.consumer("django", 1)?;
    let relay = our_master::open(&stack).await?;
    shop::attended(&stack.queue).await?;
    consumer.terminate().await?;
    record(&stack, country("a").expires_in(Duration::from_secs(3))).await?;
    until("it is sent", PATIENCE, async || {
        Ok(Seen::equal(&shop::ready(&stack.queue).await?, &1))
    })
    .await?;
    until("it has expired", PATIENCE, async || {
        let now = "select cast(extract(epoch from clock_timestamp())::bigint as text)";
        let started =
            "select cast(extract(epoch from max(updated))::bigint as text) from cqrs_revision";
        let waited = stack.master.number(now).await? - stack.master.number(started).await?;
        Ok(if waited > 5 {
            Seen::Yes
        } else {
            Seen::NotYet(waited.to_string())
        })
    })
    .await?;
    let consumer = django.consumer("django-again", 1)?;
    logged(&consumer, "CQRS is added to dead letter queue").await?;
    consumer.terminate().await?;
    let letters = shop::drain(&format!("dead_letter_{}", stack.queue)).await?;
    let letter: Value = serde_json::from_str(letters.first().context("a letter")?)?;
    ensure!(letter["instance_data"]["cqrs_revision"] == 0, "{letter}");
    countries(&stack, &[]).await?;
    relay.terminate().await
}

/// By default nothing expires, which every peer reads.
#[tokio::test]
async fn without_an_expiry_a_peer_without_time_zones_reads_all() -> Result<()> {
    let (stack, relay, consumer) = pair("no").await?;
    let customer = json!({"id": 1, "name": "one", "status": "new", "active": true,
        "seen": "2026-01-02T03:04:05.678901Z"});
    record(&stack, Change::json("customer", 1, Signal::Save, customer)).await?;
    record(&stack, country("a")).await?;
    countries(&stack, &["a"]).await?;
    let seen = stack
        .replica
        .rows("select cast(seen as text) from customer")
        .await?;
    ensure!(
        seen == [[Some("2026-01-02 03:04:05.678901+00".to_owned())]],
        "{seen:?}"
    );
    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    relay.terminate().await?;
    consumer.terminate().await
}

/// Why `docs/migrating-from-django-cqrs.md` warns of a time to live for such a peer: not the message,
/// the worker dies of it.
#[tokio::test]
async fn an_expiry_ends_a_worker_without_time_zones() -> Result<()> {
    let (stack, relay, consumer) = pair("no").await?;
    record(&stack, country("a").expires_in(Duration::from_hours(1))).await?;
    logged(
        &consumer,
        "can't compare offset-naive and offset-aware datetimes",
    )
    .await?;
    shop::deserted(&stack.queue).await?;
    relay.terminate().await
}

/// The same queue for both, whoever declares it first: any other flag or argument would be refused.
#[tokio::test]
async fn a_queue_may_be_declared_by_either_first() -> Result<()> {
    let stack = shop::open().await?;
    shop::make_tables(&stack.replica).await?;
    stack.run("cqrs-replica", &["migrate"]).await?;
    let copies = cqrs_tests::database::Database::postgres().await?;
    for (turn, django_first) in [(1, true), (2, false)] {
        let queue = format!("{}_{turn}", stack.queue);
        let mut environment = stack.environment.clone();
        environment.push(("CQRS_REPLICA_QUEUE".to_owned(), queue.clone()));
        let config = stack.config();
        let ours = || {
            let arguments = ["run", "--config", config.to_str().context("UTF-8")?];
            let (label, directory) = (format!("worker-{turn}"), stack.directory.path());
            Process::start("cqrs-replica", &label, directory, &arguments, &environment)
        };
        let django = Django::replica(&stack, &copies, &queue);
        let (consumer, worker) = if django_first {
            let consumer = django.consumer(&format!("django-{turn}"), 1)?;
            shop::attended(&queue).await?;
            (consumer, ours()?)
        } else {
            let worker = ours()?;
            shop::attended(&queue).await?;
            (django.consumer(&format!("django-{turn}"), 1)?, worker)
        };
        shop::shared(&queue).await?;
        let log = consumer.log() + &worker.log();
        ensure!(!log.contains("PRECONDITION"), "{log}");
        consumer.terminate().await?;
        worker.terminate().await?;
    }
    Ok(())
}
