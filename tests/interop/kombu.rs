//! The other transport of django-cqrs, on the same broker.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    changes::{deleted, saved},
    compare::{ALL, COUNTRY, CUSTOMER, ORDER, agree, copied},
    django::Django,
    our_master, shop,
};

const TRANSPORT: &str = "dj_cqrs.transport.KombuTransport";

#[tokio::test]
async fn a_django_master_with_kombu_and_our_worker() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master).with("INTEROP_TRANSPORT", TRANSPORT);
    let mut operator = django.open().await?;
    let worker = shop::our_replica(&stack).await?;
    operator
        .operate(&[
            json!(["create", "customer", {"id": 1, "name": "Zoë ☃ 😀", "ratio": "NaN"}]),
            json!(["update", "customer", 1, {"status": "open"}]),
            json!(["create", "country", {"code": "de", "name": "gone"}]),
            json!(["delete", "country", "de"]),
            json!(["create", "order", {"id": 1, "number": "A/1", "customer": 1, "total": "1.5",
                "placed": "2026-01-02T03:04:05Z", "lines": [
                    {"product": "tea", "quantity": 2, "price": "1.10"}]}]),
            json!(["sync_all", "customer", stack.queue]),
        ])
        .await?;
    let tables = [CUSTOMER, COUNTRY, ORDER];
    copied(&tables, &stack.master, &stack.replica).await?;
    worker.terminate().await?;
    copied(&tables, &stack.master, &stack.replica).await
}

/// It decodes `application/json` by itself and then dies on the result; ours is `text/plain`.
#[tokio::test]
async fn our_master_and_a_django_replica_with_kombu() -> Result<()> {
    let stack = shop::open().await?;
    let django =
        Django::replica(&stack, &stack.replica, &stack.queue).with("INTEROP_TRANSPORT", TRANSPORT);
    django.migrate().await?;
    let consumer = django.consumer("django", 1)?;
    let relay = our_master::open(&stack).await?;
    shop::attended(&stack.queue).await?;
    let customer = |name: &str| {
        json!({"name": name, "status": "new", "active": true, "seen": "2026-01-02T03:04:05.678901Z",
            "extra": {"a": "☃"}, "balance": "1.10", "ratio": 0.1, "born": null, "parent": null})
    };
    let changes = [
        saved("customer", 1, customer("Zoë ☃ 😀")),
        saved("customer", 2, customer("two")),
        deleted("customer", 2),
        saved("customer", 1, customer("last")),
        saved("country", "de", json!({"name": "three"})),
    ];
    for change in changes {
        our_master::write(our_master::pool(&stack.master), &[change], true).await?;
    }
    our_master::sync(&stack.master, &our_master::ALL).await?;
    // A sync of each that lives, and a delete of the one that does not.
    consumer.applied(5 + 3).await?;
    agree(&ALL, &stack.master, &stack.replica).await?;
    ensure!(consumer.errors().is_empty(), "{:#?}", consumer.errors());
    relay.terminate().await?;
    consumer.terminate().await
}
