//! Both kinds of services on one exchange, for good or on the way from one to the other.

use anyhow::{Result, ensure};
use cqrs_tests::{
    database::Database,
    rabbitmq::unique,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    changes::{deleted, saved},
    compare::{ALL, ARTICLE, COUNTRY, CUSTOMER, DEVICE, ORDER, PATIENCE, agree, copied},
    django::Django,
    migration::{check, step},
    our_master, shop,
};

/// A customer's state, of which only the name matters.
fn named(name: &str) -> serde_json::Value {
    json!({"name": name, "status": "new", "active": true})
}

/// A Django master and ours, for different models, and a Django replica and ours, of all models.
#[tokio::test]
async fn a_mixed_fleet_agrees() -> Result<()> {
    let stack = shop::open().await?;
    let (originals, copies) = (Database::postgres().await?, Database::postgres().await?);
    let django = Django::master(&stack, &originals);
    let replica = Django::replica(&stack, &copies, &unique("django"));
    let (operator, made) = tokio::join!(django.open(), replica.migrate());
    let mut operator = operator?;
    made?;
    let consumer = replica.consumer("django", 1)?;
    let worker = shop::our_replica(&stack).await?;
    shop::attended(replica.queue()).await?;
    let relay = our_master::open(&stack).await?;

    let ours = our_master::pool(&stack.master);
    for turn in 0..20_i64 {
        operator
            .operate(&[
                json!(["put", "customer", turn % 7, {"name": format!("{turn}")}]),
                json!(["create", "order", {"id": turn, "number": "A", "customer": turn % 7, "total": "1.5",
                    "placed": "2026-01-02T03:04:05Z", "lines": [
                        {"product": "tea", "quantity": turn, "price": "1.10"}]}]),
                json!(["remove", "customer", (turn + 3) % 7]),
            ])
            .await?;
        let changes = [
            saved(
                "article",
                turn,
                json!({"title": turn.to_string(), "published": true}),
            ),
            saved("country", turn.to_string(), json!({"name": "country"})),
            saved(
                "device",
                Uuid::from_u128(turn.unsigned_abs().into()).to_string(),
                json!({"label": "one", "serial": turn}),
            ),
            deleted("article", turn - 3),
        ];
        our_master::write(ours, &changes, true).await?;
    }
    let theirs = [CUSTOMER, ORDER];
    copied(&theirs, &originals, &stack.replica).await?;
    copied(&theirs, &originals, &copies).await?;
    agree(&[DEVICE, COUNTRY, ARTICLE], &stack.master, &copies).await?;
    agree(&ALL, &copies, &stack.replica).await?;
    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    consumer.terminate().await?;
    relay.terminate().await?;
    worker.terminate().await
}

/// What our replica knows of each customer's revision, and the master's count.
async fn revisions_agree(stack: &Stack) -> Result<()> {
    const COUNTED: &str = "select instance_pk, cast(revision as text) from cqrs_revision
        where cqrs_id = 'customer' and not deleted order by instance_pk";
    const KNOWN: &str = "select instance_pk, cast(revision as text) from cqrs_replica_state
        where cqrs_id = 'customer' and not deleted order by instance_pk";
    until("the revisions agree", PATIENCE, async || {
        let counted = stack.master.rows(COUNTED).await?;
        Ok(Seen::equal(&counted, &stack.replica.rows(KNOWN).await?))
    })
    .await
}

/// A service in Rust takes two models over from a Django master, and gives one back.
#[tokio::test]
async fn a_master_moves_and_moves_back() -> Result<()> {
    let stack = shop::open().await?;
    let copies = Database::postgres().await?;
    let django = Django::master(&stack, &stack.master);
    let replica = Django::replica(&stack, &copies, &unique("django"));
    let (operator, made) = tokio::join!(django.open(), replica.migrate());
    let mut operator = operator?;
    made?;
    let consumer = replica.consumer("django", 1)?;
    let worker = shop::our_replica(&stack).await?;
    shop::attended(replica.queue()).await?;

    operator
        .operate(&[
            json!(["bulk_create", "customer", [{"id": 1, "name": "a"}, {"id": 2, "name": "b"},
                {"id": 3, "name": "c"}, {"id": 4, "name": "d"}]]),
            json!(["update", "customer", 1, {"status": "open"}]),
            json!(["update", "customer", 1, {"status": "gone"}]),
            json!(["delete", "customer", 3]),
            json!(["create", "device", {"label": "one", "serial": 1}]),
        ])
        .await?;

    // The steps of the document.
    stack.run("cqrs-relay", &["migrate"]).await?;
    let relay = stack.relay("relay")?;
    for model in ["customer", "device"] {
        step(&stack.master, "defaults", model, "").await?;
    }
    drop(operator);
    for model in ["customer", "device"] {
        step(&stack.master, "seed revisions", model, "").await?;
        let wrong = check(&stack.master, "check revisions", model, "").await?;
        ensure!(wrong == 0, "{wrong} rows of {model} have no revision");
    }
    let ours = our_master::pool(&stack.master);
    for change in [
        saved("customer", 1, named("ours")),
        saved("customer", 3, named("back again")),
        deleted("customer", 2),
        saved("customer", 5, named("new")),
        saved("customer", 1, named("ours again")),
    ] {
        our_master::write(ours, &[change], true).await?;
    }
    let tables = [CUSTOMER, DEVICE];
    copied(&tables, &stack.master, &stack.replica).await?;
    copied(&tables, &stack.master, &copies).await?;
    revisions_agree(&stack).await?;
    our_master::sync(&stack.master, &["customer", "device"]).await?;

    // The way back.
    until("the outbox is empty", PATIENCE, async || {
        let left = "select cast(count(*) as text) from cqrs_outbox";
        Ok(Seen::equal(&stack.master.number(left).await?, &0))
    })
    .await?;
    step(&stack.master, "hand back revisions", "customer", "").await?;
    django
        .operator()?
        .operate(&[
            json!(["update", "customer", 1, {"name": "Django's"}]),
            json!(["create", "customer", {"id": 6, "name": "Django's too"}]),
            json!(["delete", "customer", 5]),
        ])
        .await?;
    copied(&tables, &stack.master, &stack.replica).await?;
    copied(&tables, &stack.master, &copies).await?;
    // And forth again: the same statement finds what Django has counted meanwhile.
    step(&stack.master, "seed revisions", "customer", "").await?;
    our_master::write(ours, &[saved("customer", 1, named("ours for good"))], true).await?;
    copied(&tables, &stack.master, &stack.replica).await?;
    copied(&tables, &stack.master, &copies).await?;
    let revision = "select cast(cqrs_revision as text) from customer where id = 1";
    ensure!(
        copies.number(revision).await? == 6,
        "revisions did not go on"
    );

    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    consumer.terminate().await?;
    relay.terminate().await?;
    worker.terminate().await
}

/// Our worker takes over the table and the queue of a Django replica, with a backlog in it.
#[tokio::test]
async fn a_replica_moves_in_place_and_moves_back() -> Result<()> {
    let stack = shop::open().await?;
    shop::configure(
        &stack,
        "[[replica.model]]\ncqrs_id = \"customer\"\ntable = \"customer\"\nkey = \"id\"\n",
    )?;
    let django = Django::master(&stack, &stack.master);
    let replica = Django::replica(&stack, &stack.replica, &stack.queue);
    let (operator, made) = tokio::join!(django.open(), replica.migrate());
    let mut operator = operator?;
    made?;
    let consumer = replica.consumer("django", 1)?;
    shop::attended(&stack.queue).await?;
    // A reference would have another column than field; see `columns` for that.
    operator
        .operate(&[
            json!(["bulk_create", "customer", [{"id": 1, "name": "a"}, {"id": 2, "name": "b"},
                {"id": 3, "name": "c"}]]),
            json!(["update", "customer", 1, {"status": "open"}]),
        ])
        .await?;
    copied(&[CUSTOMER], &stack.master, &stack.replica).await?;

    stack.run("cqrs-replica", &["migrate"]).await?;
    consumer.terminate().await?;
    operator
        .operate(&[
            json!(["update", "customer", 2, {"status": "waiting"}]),
            json!(["delete", "customer", 3]),
            json!(["create", "customer", {"id": 4, "name": "d"}]),
        ])
        .await?;
    step(&stack.replica, "seed states", "customer", &stack.queue).await?;
    let worker = stack.start("cqrs-replica", "worker")?;
    copied(&[CUSTOMER], &stack.master, &stack.replica).await?;
    let wrong = check(&stack.replica, "check states", "customer", &stack.queue).await?;
    ensure!(
        wrong == 0,
        "{wrong} rows have another revision than their state"
    );

    // A message from before the move comes once more: it is known to be old.
    let late = json!({"signal_type": "SAVE", "cqrs_id": "customer", "instance_pk": 1, "instance_data": {
        "id": 1, "cqrs_revision": 0, "cqrs_updated": "2020-01-01 00:00:00+00:00", "name": "old",
        "status": "old", "active": true}});
    shop::publish(&stack, "customer", &late.to_string()).await?;
    operator
        .operate(&[json!(["update", "customer", 1, {"name": "last"}])])
        .await?;
    copied(&[CUSTOMER], &stack.master, &stack.replica).await?;
    worker.terminate().await?;

    let consumer = replica.consumer("django-again", 1)?;
    operator
        .operate(&[json!(["update", "customer", 1, {"name": "back"}])])
        .await?;
    copied(&[CUSTOMER], &stack.master, &stack.replica).await?;
    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    consumer.terminate().await
}
