//! Messages whose properties the driver cannot read, among those of a relay.

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_core::{SecretUrl, Signal};
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    raw_amqp::{Properties, RawPublisher},
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
const COPIES: &str = "select cast(count(*) as text) from account_copy";

async fn copies(stack: &Stack, what: &str, count: i64) -> Result<()> {
    until(what, PATIENCE, async || {
        Ok(Seen::equal(&stack.replica.number(COPIES).await?, &count))
    })
    .await
}

async fn record(stack: &Stack, ids: std::ops::Range<i64>) -> Result<()> {
    let Database::Postgres { pool, .. } = &stack.master else {
        anyhow::bail!("the master is a PostgreSQL");
    };
    let mut tx = outbox::begin(pool).await?;
    for id in ids {
        let data = json!({"id": id, "name": "one", "version": 1, "note": null});
        outbox::record(&mut tx, Change::json("account", id, Signal::Save, data)).await?;
    }
    Ok(tx.commit().await?)
}

/// One message with each kind of unreadable properties, for as many instances from `first` on.
async fn send_unreadable(stack: &Stack, key: &str, first: i64) -> Result<i64> {
    let mut raw = RawPublisher::connect(&SecretUrl::new(&stack.broker)).await?;
    let mut id = first;
    for properties in Properties::unreadable() {
        let body = json!({
            "signal_type": "SAVE", "cqrs_id": "account", "instance_pk": id,
            "instance_data": {"id": id, "cqrs_revision": 0, "name": "n", "version": 1, "note": null,
                "cqrs_updated": "2026-11-21 01:06:16.373491+00:00"},
            "previous_data": null, "correlation_id": null, "retries": 30,
            "expires": "2126-11-22T01:06:16+00:00", "meta": {},
        });
        let body = body.to_string();
        raw.publish(
            &stack.exchange,
            key.as_bytes(),
            &properties,
            body.as_bytes(),
        )
        .await?;
        id += 1;
    }
    raw.finish().await?;
    Ok(id - first)
}

#[tokio::test]
async fn unreadable_properties_hold_nothing_back() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let (worker, relay) = (
        stack.start("cqrs-replica", "worker")?,
        stack.relay("relay")?,
    );
    record(&stack, 0..10).await?;
    copies(&stack, "rows before", 10).await?;
    let count = send_unreadable(&stack, "account", 1_000).await?;
    record(&stack, 10..20).await?;
    copies(&stack, "all rows", 20 + count).await?;

    // And in the queue of dead letters.
    let key = format!("cqrs.dead_letter_{}.account", stack.queue);
    send_unreadable(&stack, &key, 2_000).await?;
    until("the broker has them", PATIENCE, async || {
        let list = ["dead", "broker", "list", "--json"];
        let found: Vec<Value> = serde_json::from_str(&stack.run("cqrs-replica", &list).await?)?;
        Ok(Seen::equal(&i64::try_from(found.len())?, &count))
    })
    .await?;
    let import = ["dead", "broker", "import", "--retry"];
    let told = stack.run("cqrs-replica", &import).await?;
    ensure!(
        told.contains(&format!("{count} letters imported")),
        "{told}"
    );
    copies(&stack, "the letters", 20 + 2 * count).await?;
    relay.terminate().await?;
    worker.terminate().await
}
