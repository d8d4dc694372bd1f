//! A master of ours and a Django replica.

use anyhow::{Result, ensure};
use cqrs_tests::stack::Stack;
use serde_json::json;

use crate::{
    changes::{Change, deleted, saved},
    compare::{ALL, agree},
    django::Django,
    our_master, shop,
};

/// Values of every kind, updates, deletes, and keys that come back.
fn every_kind() -> Vec<Change> {
    let customer = |name: &str| {
        json!({"name": name, "status": "new", "balance": "1234567890.10", "ratio": 0.1, "active": true,
            "born": "2020-02-29", "seen": "2026-01-02T03:04:05.678901Z",
            "extra": {"k": [1, null, true, {"😀": "\\u0041"}], "n": 1.5}, "parent": 2})
    };
    let nobody = json!({"name": "", "status": "", "balance": null, "ratio": null, "active": false,
        "born": null, "seen": null, "extra": null, "parent": null});
    let order = |lines| {
        json!({"number": "A/1", "customer": 1, "total": "1234567890123456.1234",
            "placed": "2026-01-02T03:04:05Z", "pickup": "03:04:05.678901", "lines": lines})
    };
    let uuid = "00000000-0000-0000-0000-00000000000a";
    let lines = json!([{"product": "tea", "quantity": 2, "price": "1.10"}, {"product": "☕"}]);
    vec![
        saved("customer", 1, customer("Zoë ☃ \"q\" \\ n/a 😀 \u{7}")),
        saved("customer", 2, nobody.clone()),
        saved("customer", 3, customer("three")),
        saved("customer", 1, customer("\u{1d11e}")),
        deleted("customer", 3),
        saved("customer", 3, nobody),
        saved("device", uuid, json!({"label": "one", "serial": i64::MAX})),
        saved("device", uuid, json!({"label": "two", "serial": i64::MIN})),
        saved("country", "cî 😀/\"", json!({"name": "key"})),
        saved("country", "de", json!({"name": "gone"})),
        deleted("country", "de"),
        saved("order", 1, order(lines)),
        saved("order", 2, order(json!([]))),
        saved("order", 1, order(json!([{"product": "mate"}]))),
        saved("article", 1, json!({"title": "shown", "published": true})),
    ]
}

/// How many events the master has recorded.
async fn recorded(stack: &Stack) -> Result<i64> {
    const RECORDED: &str = "select cast(coalesce(sum(revision + 1), 0) as text) from cqrs_revision";
    stack.master.number(RECORDED).await
}

async fn nothing_is_left(stack: &Stack) -> Result<()> {
    for queue in [stack.queue.clone(), format!("dead_letter_{}", stack.queue)] {
        let left = shop::drain(&queue).await?;
        ensure!(left.is_empty(), "{queue} holds {left:?}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_of_every_kind_arrive_and_nothing_is_logged() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::replica(&stack, &stack.replica, &stack.queue);
    django.migrate().await?;
    let consumer = django.consumer("django", 1)?;
    let relay = our_master::open(&stack).await?;
    shop::attended(&stack.queue).await?;

    let pool = our_master::pool(&stack.master);
    for (turn, change) in every_kind().into_iter().enumerate() {
        our_master::write(pool, &[change], turn % 2 == 0).await?;
    }
    our_master::storm(&stack.master, 100).await?;
    consumer.applied(recorded(&stack).await?).await?;
    agree(&ALL, &stack.master, &stack.replica).await?;
    let errors = consumer.errors();
    ensure!(errors.is_empty(), "Django logged {errors:#?}");
    consumer.terminate().await?;
    relay.terminate().await?;
    nothing_is_left(&stack).await
}

/// Two workers of one Django replica overtake each other, and django-cqrs has neither locks nor
/// tombstones. One sync of all instances settles it.
#[tokio::test]
async fn two_django_workers_and_one_sync() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::replica(&stack, &stack.replica, &stack.queue);
    django.migrate().await?;
    let consumer = django.consumer("django", 2)?;
    let relay = our_master::open(&stack).await?;
    shop::attended(&stack.queue).await?;

    our_master::storm(&stack.master, 100).await?;
    let events = recorded(&stack).await?;
    consumer.applied(events).await?;
    let instances = "select cast(count(*) as text) from cqrs_revision";
    our_master::sync(&stack.master, &our_master::ALL).await?;
    consumer
        .applied(events + stack.master.number(instances).await?)
        .await?;
    agree(&ALL, &stack.master, &stack.replica).await?;
    consumer.terminate().await?;
    relay.terminate().await?;
    nothing_is_left(&stack).await
}
