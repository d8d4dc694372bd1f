//! A Django master and our worker.

use anyhow::{Result, ensure};
use cqrs_core::{Event, wire};
use cqrs_tests::{
    rabbitmq::{self, Admin},
    wait::{self, Seen},
};
use lapin::{ExchangeKind, types::FieldTable};
use serde_json::{Value, json};

use crate::{
    compare::{ALL, COUNTRY, PATIENCE, copied},
    django::Django,
    shop,
};

#[tokio::test]
async fn rows_of_every_kind_arrive() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    let mut operator = django.open().await?;
    let worker = shop::our_replica(&stack).await?;

    operator
        .operate(&[
            json!(["create", "customer", {
                "name": "Zoë ☃ \"q\" \\ n/a 😀 \u{7}", "balance": "1234567890.10",
                "ratio": 0.1, "born": "2020-02-29", "seen": "2026-01-02T03:04:05.678901Z",
                "extra": {"k": [1, null, true, {"😀": "\\u0041"}], "n": 1.5}
            }]),
            json!(["create", "customer", {"id": 2, "name": "", "ratio": "NaN", "parent": 1}]),
            json!(["create", "customer", {"id": 3, "name": "∞", "ratio": "-Infinity",
                "seen": "2026-01-02T03:04:05Z", "extra": []}]),
            json!(["update", "customer", 1, {"status": "gone", "balance": null, "extra": null}]),
            json!(["delete", "customer", 3]),
            json!(["create", "customer", {"id": 3, "name": "again", "ratio": "Infinity"}]),
            json!([
                "bulk_create",
                "customer",
                (10..60)
                    .map(|id| json!({"id": id, "name": "bulk"}))
                    .collect::<Vec<_>>()
            ]),
            json!(["bulk_update", "customer", (20..40).collect::<Vec<_>>(),
                {"status": "moved", "balance": "0.01"}]),
            json!(["create", "device", {"id": "00000000-0000-0000-0000-00000000000A",
                "label": "one", "serial": i64::MAX}]),
            json!(["create", "device", {"label": "two", "serial": i64::MIN}]),
            json!(["update", "device", "00000000-0000-0000-0000-00000000000A", {"serial": 1}]),
            json!(["create", "country", {"code": "cî 😀/\"", "name": "key"}]),
            json!(["create", "country", {"code": "de", "name": "gone"}]),
            json!(["update", "country", "cî 😀/\"", {"name": "other"}]),
            json!(["delete", "country", "de"]),
            json!(["create", "order", {"id": 1, "number": "A/1", "customer": 1,
                "total": "1234567890123456.1234", "placed": "2026-01-02T03:04:05.000001Z",
                "pickup": "03:04:05.678901", "lines": [
                    {"product": "tea", "quantity": 2, "price": "1.10"},
                    {"product": "☕", "quantity": 1, "price": "2.00"}]}]),
            json!(["create", "order", {"id": 2, "number": "A/2", "total": "0",
                "placed": "2026-01-02T03:04:05Z", "lines": []}]),
            json!(["update", "order", 1, {"lines": [
                {"product": "mate", "quantity": 3, "price": "3.30"}]}]),
            json!(["create", "article", {"id": 1, "title": "shown", "published": true}]),
        ])
        .await?;
    copied(&ALL, &stack.master, &stack.replica).await?;
    worker.terminate().await?;
    let left = shop::drain(&stack.queue).await?;
    ensure!(left.is_empty(), "{left:?}");
    copied(&ALL, &stack.master, &stack.replica).await
}

/// What tables do not keep: for handlers.
#[tokio::test]
async fn previous_data_meta_and_correlation_are_read() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    let mut operator = django.open().await?;
    let queue = rabbitmq::unique_queue("spy");
    let admin = Admin::connect(&rabbitmq::url()).await;
    admin
        .declare_exchange(&stack.exchange, ExchangeKind::Topic)
        .await;
    admin.declare_queue(&queue, FieldTable::default()).await;
    admin.bind(&queue, &stack.exchange, "customer").await;

    operator
        .operate(&[
            json!(["create", "customer", {"id": 1, "name": "one", "balance": "1.10"}]),
            json!(["update", "customer", 1, {"status": "open", "balance": "2.20", "active": false}]),
            json!(["bulk_update", "customer", [1], {"name": "two"}]),
            json!(["sync", "customer", [1]]),
            json!(["delete", "customer", 1]),
        ])
        .await?;
    let bodies = shop::drain(queue.as_str()).await?;
    let events: Vec<Event> = bodies
        .iter()
        .map(|body| wire::decode(body.as_bytes()))
        .collect::<Result<_, _>>()?;
    admin.delete_queue(&queue).await;

    let read: Vec<Value> = events
        .iter()
        .map(|event| {
            json!([
                event.signal.as_str(),
                event.revision.0,
                event
                    .previous
                    .as_ref()
                    .map(|previous| parsed(&previous.to_json())),
                event.meta.as_deref().map(|meta| parsed(meta.get())),
                event.correlation_id.as_deref().map(|id| parsed(id.get())),
                event.data.get("custom").map(|custom| parsed(custom.get())),
            ])
        })
        .collect();
    let meta = |signal: &str| json!({"signal": signal, "model": "Customer"});
    let id = |signal: &str| format!("{signal} customer 1 None");
    assert_eq!(
        Value::Array(read),
        json!([
            ["SAVE", 0, {"name": null, "status": null, "balance": null}, meta("SAVE"), id("SAVE"), null],
            ["SAVE", 1, {"status": "new", "balance": 1.1}, meta("SAVE"), id("SAVE"), null],
            ["SAVE", 2, {"name": "one", "status": "open", "balance": 2.2}, meta("SAVE"), id("SAVE"), null],
            ["SYNC", 2, null, meta("SYNC"), id("SYNC"), null],
            ["DELETE", 3, null, meta("DELETE"), id("DELETE"), {"name": "two"}],
        ])
    );
    // A day, which is what a Django master asks for.
    assert!(events.iter().all(|event| event.expires.is_some()));
    Ok(())
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("strict JSON")
}

#[tokio::test]
async fn syncs_go_to_all_or_to_one_queue() -> Result<()> {
    const COUNTRIES: &str = "select code, name from country order by code";
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    let mut operator = django.open().await?;
    // Nobody is bound yet: lost, as django-cqrs loses it.
    operator
        .operate(&[
            json!(["create", "country", {"code": "de", "name": "one"}]),
            json!(["create", "country", {"code": "fr", "name": "two"}]),
        ])
        .await?;
    let worker = shop::our_replica(&stack).await?;
    operator
        .operate(&[
            json!(["sync", "country", ["fr"], "another_queue"]),
            json!(["sync", "country", ["de"], stack.queue]),
        ])
        .await?;
    wait::until("the sync to our queue arrives", PATIENCE, async || {
        let rows = stack.replica.rows(COUNTRIES).await?;
        Ok(Seen::equal(&rows.len(), &1))
    })
    .await?;
    operator.operate(&[json!(["sync_all", "country"])]).await?;
    copied(&[COUNTRY], &stack.master, &stack.replica).await?;
    operator
        .operate(&[json!(["sync_all", "country", stack.queue])])
        .await?;
    worker.terminate().await?;
    copied(&[COUNTRY], &stack.master, &stack.replica).await
}

/// What a filter hides is never sent, a delete of it neither: our replica keeps what it has, as a
/// Django replica does.
#[tokio::test]
async fn what_django_filters_out_stays_as_it_was() -> Result<()> {
    const TITLES: &str = "select cast(id as text), title from article order by id";
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    let mut operator = django.open().await?;
    let worker = shop::our_replica(&stack).await?;
    operator
        .operate(&[
            json!(["create", "article", {"id": 1, "title": "hidden"}]),
            json!(["create", "article", {"id": 2, "title": "draft"}]),
            json!(["update", "article", 2, {"title": "shown", "published": true}]),
            json!(["update", "article", 2, {"title": "withdrawn", "published": false}]),
            json!(["delete", "article", 2]),
            json!(["create", "article", {"id": 3, "title": "last", "published": true}]),
        ])
        .await?;
    let expected = [["2", "shown"], ["3", "last"]]
        .map(|row| row.map(|value| Some(value.to_owned())).to_vec())
        .to_vec();
    wait::until("what was shown is there", PATIENCE, async || {
        Ok(Seen::equal(&stack.replica.rows(TITLES).await?, &expected))
    })
    .await?;
    worker.terminate().await
}
