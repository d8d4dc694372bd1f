//! Events that are longer than `broker.max_message_bytes`.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(2);

/// Writes a row with a note of so many bytes, and records it.
async fn save(stack: &Stack, id: i64, bytes: usize) -> Result<()> {
    const INSERT: &str = "insert into account (id, name, version) values ($1, 'one', 1)";
    let note = "x".repeat(bytes);
    let data = json!({"id": id, "name": "one", "version": 1, "note": note});
    let change = Change::json("account", id, Signal::Save, data);
    match &stack.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            sqlx::query(INSERT).bind(id).execute(&mut *tx).await?;
            outbox::record(&mut tx, change).await?;
            Ok(tx.commit().await?)
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            sqlx::query(INSERT).bind(id).execute(&mut *tx).await?;
            outbox::record(&mut tx, change).await?;
            Ok(tx.commit().await?)
        }
    }
}

async fn wait_for(database: &Database, what: &str, count: &'static str, value: i64) -> Result<()> {
    until(what, PATIENCE, async || {
        Ok(Seen::equal(&database.number(count).await?, &value))
    })
    .await
}

async fn dead(stack: &Stack, program: &str) -> Result<Vec<Value>> {
    let list = stack.run(program, &["dead", "list", "--json"]).await?;
    Ok(serde_json::from_str(&list)?)
}

/// Changes what the configuration says.
fn limit(stack: &Stack, before: &str, after: &str) -> Result<()> {
    let toml = fs::read_to_string(stack.config())?;
    ensure!(toml.contains(before), "{toml}");
    Ok(fs::write(stack.config(), toml.replacen(before, after, 1))?)
}

async fn what_is_too_large_is_kept_on_either_side_and_the_rest_goes_on(stack: Stack) -> Result<()> {
    const COPIES: &str = "select cast(count(*) as text) from account_copy";
    const DEAD_ROWS: &str = "select cast(count(*) as text) from cqrs_outbox_dead";
    const LETTERS: &str =
        "select cast(count(*) as text) from cqrs_dead_letter where state = 'dead'";
    limit(
        &stack,
        "[broker]\n",
        "[broker]\nmax_message_bytes = 16777216\n",
    )?;
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    save(&stack, 1, 15_000_000).await?;
    save(&stack, 2, 17_000_000).await?;
    save(&stack, 3, 10).await?;
    wait_for(&stack.replica, "what is short enough arrives", COPIES, 2).await?;
    wait_for(&stack.master, "the other one is dead", DEAD_ROWS, 1).await?;
    let rows = dead(&stack, "cqrs-relay").await?;
    let told = rows[0]["error"].to_string();
    ensure!(
        told.contains("`broker.max_message_bytes` is 16777216")
            && told.contains("the body is 1700"),
        "{told}"
    );
    relay.terminate().await?;

    // The relay may send more than the worker takes.
    limit(&stack, "16777216", "33554432")?;
    let relay = stack.relay("relay that sends more")?;
    stack.run("cqrs-relay", &["dead", "retry", "--all"]).await?;
    wait_for(&stack.replica, "it is kept as a letter", LETTERS, 1).await?;
    let letters = dead(&stack, "cqrs-replica").await?;
    ensure!(
        letters[0].to_string().contains("broker.max_message_bytes"),
        "{}",
        letters[0]["error"]
    );
    stack
        .run("cqrs-replica", &["dead", "retry", "--all"])
        .await?;
    wait_for(&stack.replica, "an operator's retry applies it", COPIES, 3).await?;
    relay.terminate().await?;
    worker.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_too_large() -> Result<()> {
    what_is_too_large_is_kept_on_either_side_and_the_rest_goes_on(Stack::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn servers_too_large() -> Result<()> {
    what_is_too_large_is_kept_on_either_side_and_the_rest_goes_on(Stack::servers().await?).await
}
