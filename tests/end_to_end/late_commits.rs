//! Transactions that take their ids early and commit late, which is where outboxes lose events.

use std::time::Duration;

use anyhow::{Context, Result};
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    ledger,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

const PATIENCE: Duration = Duration::from_mins(1);

fn pool(stack: &Stack) -> Result<&PgPool> {
    match &stack.master {
        Database::Postgres { pool, .. } => Ok(pool),
        Database::Sqlite { .. } => anyhow::bail!("this is about PostgreSQL"),
    }
}

async fn save(tx: &mut PgConnection, id: i64) -> Result<()> {
    sqlx::query("insert into account (id, name, version) values ($1, 'late', 1)")
        .bind(id)
        .execute(&mut *tx)
        .await?;
    let data = json!({"id": id, "name": "late", "version": 1, "note": null});
    outbox::record(tx, Change::json("account", id, Signal::Save, data)).await?;
    Ok(())
}

async fn applied(stack: &Stack, rows: i64) -> Result<()> {
    until("rows are applied", PATIENCE, async || {
        let count = "select cast(count(*) as text) from account_copy";
        Ok(Seen::equal(&stack.replica.number(count).await?, &rows))
    })
    .await
}

#[tokio::test]
async fn rows_committed_in_reverse_id_order_all_arrive() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    let pool = pool(&stack)?;
    let mut open = Vec::new();
    for id in 0..10 {
        let mut tx = pool.begin().await?;
        save(&mut tx, id).await?;
        open.push(tx);
    }
    let mut expected = 0;
    while let Some(tx) = open.pop() {
        // Every third is rolled back: a gap for ever.
        if expected % 3 == 2 {
            tx.rollback().await?;
            open.pop()
                .context("ten is not a multiple of three")?
                .commit()
                .await?;
        } else {
            tx.commit().await?;
        }
        expected += 1;
        applied(&stack, expected).await?;
    }
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn a_transaction_held_open_beside_a_busy_outbox_arrives_in_the_end() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    let pool = pool(&stack)?;
    // One that recorded and waits, and one that only holds a snapshot.
    let mut held = pool.begin().await?;
    save(&mut held, 0).await?;
    let mut idle = pool.begin().await?;
    sqlx::query("select count(*) from account")
        .execute(&mut *idle)
        .await?;
    let busy = 3_000;
    for first in (1..=busy).step_by(100) {
        let mut tx = pool.begin().await?;
        for id in first..first + 100 {
            save(&mut tx, id).await?;
        }
        tx.commit().await?;
    }
    applied(&stack, busy).await?;
    held.commit().await?;
    applied(&stack, busy + 1).await?;
    idle.rollback().await?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}
