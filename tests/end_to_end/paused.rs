//! A table that cannot be written, among thousands of events for it and for another one.

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(3);
const ROWS: i64 = 2_000;
const ITEMS: &str = "create table item (id integer primary key, name text not null)";

const FIRST: &str = "select cast(count(*) as text) from account_copy where version = 0";
const LAST: &str = "select cast(count(*) as text) from account_copy where version = 3";

/// Records a version of every account, and an item beside each.
async fn record(stack: &Stack, version: i64) -> Result<()> {
    let changes = (0..ROWS).flat_map(|id| {
        let account = json!({"id": id, "name": "one", "version": version, "note": null});
        let item = json!({"id": version * ROWS + id, "name": "one"});
        [
            Change::json("account", id, Signal::Save, account),
            Change::json("item", version * ROWS + id, Signal::Save, item),
        ]
    });
    match &stack.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            for change in changes {
                outbox::record(&mut tx, change).await?;
            }
            tx.commit().await?;
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            for change in changes {
                outbox::record(&mut tx, change).await?;
            }
            tx.commit().await?;
        }
    }
    Ok(())
}

async fn count(stack: &Stack, sql: &'static str, expected: i64) -> Result<()> {
    until(sql, PATIENCE, async || {
        Ok(Seen::equal(&stack.replica.number(sql).await?, &expected))
    })
    .await
}

async fn status(stack: &Stack) -> Result<Value> {
    let told = stack.run("cqrs-replica", &["status", "--json"]).await?;
    Ok(serde_json::from_str(&told)?)
}

async fn a_broken_table_holds_back_only_its_own_events(stack: Stack) -> Result<()> {
    let mut config = std::fs::read_to_string(stack.config())?;
    config.push_str("\n[[replica.model]]\ncqrs_id = \"item\"\ntable = \"item\"\nkey = \"id\"\n");
    std::fs::write(stack.config(), config)?;
    stack.prepare().await?;
    stack.replica.execute(ITEMS).await?;
    let relay = stack.relay("relay")?;
    let worker = stack.start("cqrs-replica", "worker")?;
    let item = "select cast(count(*) as text) from item";
    record(&stack, 0).await?;
    count(&stack, item, ROWS).await?;
    count(&stack, FIRST, ROWS).await?;

    let broken = "alter table account_copy rename column remark to comment";
    stack.replica.execute(broken).await?;
    for version in 1..=3 {
        record(&stack, version).await?;
        count(&stack, item, (version + 1) * ROWS).await?;
    }
    let kept = "select cast(count(*) as text) from cqrs_dead_letter
                where state = 'waiting' and reason = 'paused' and attempts = 0";
    count(&stack, kept, 3 * ROWS).await?;
    let told = status(&stack).await?;
    let paused = &told["paused_models"][0];
    ensure!(paused["cqrs_id"] == "account", "{told}");
    ensure!(
        paused["error"]
            .as_str()
            .is_some_and(|error| error.contains("remark")),
        "{told}"
    );

    let mended = "alter table account_copy rename column comment to remark";
    stack.replica.execute(mended).await?;
    count(&stack, LAST, ROWS).await?;
    let open = "select cast(count(*) as text) from cqrs_dead_letter
                where state in ('waiting', 'retrying', 'dead')";
    count(&stack, open, 0).await?;
    let told = status(&stack).await?;
    ensure!(
        told["paused_models"] == json!([]) && told["dead"] == 0,
        "{told}"
    );
    let log = worker.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    ensure!(
        lines("the model is paused") == 1 && lines("the model goes on") == 1,
        "{log}"
    );
    relay.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn a_broken_table_holds_back_only_its_own_events_embedded() -> Result<()> {
    a_broken_table_holds_back_only_its_own_events(Stack::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn a_broken_table_holds_back_only_its_own_events_on_servers() -> Result<()> {
    a_broken_table_holds_back_only_its_own_events(Stack::servers().await?).await
}
