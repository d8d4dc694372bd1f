use anyhow::{Result, bail, ensure};
use cqrs_outbox::{
    capture::{Capture, Installed},
    source::SourceModel,
};
use cqrs_tests::{
    database::Database,
    ledger,
    stack::Stack,
    writers::{STEP_MODEL, TABLE_MODEL},
};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tokio::task::JoinSet;

use super::PATIENCE;

/// Any statement on some of thirty rows.
fn statement(chance: &mut fastrand::Rng) -> String {
    let (id, other) = (chance.u8(..30), chance.u8(..30));
    let note = chance.u32(..);
    match chance.u8(..6) {
        0 => format!("delete from account where id = {id}"),
        1 => format!("update account set version = version + 1 where id % 7 = {}", id % 7),
        2 => format!(
            "update account set id = {other} where id = {id}
             and not exists (select from account where id = {other})"
        ),
        3 => format!(
            "with gone as (delete from account where id = {id} returning *)
             insert into account select id, name || '\"', version + 1, note from gone"
        ),
        4 if chance.u8(..8) == 0 => "truncate account".to_owned(),
        _ => format!(
            "insert into account select g, 'é \\ {note}', 0, {} from generate_series({id}, {id} + 2) as g
             on conflict (id) do update set name = excluded.name, version = account.version + 1",
            if note.is_multiple_of(3) { "null" } else { "'note'" }
        ),
    }
}

/// Statements of one writer; one in six transactions is rolled back.
async fn write(pool: PgPool, seed: u64) -> Result<()> {
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..120 {
        let mut tx = pool.begin().await?;
        let mut whole = true;
        for _ in 0..chance.u8(1..4) {
            let written = tx.execute(AssertSqlSafe(statement(&mut chance))).await;
            match written {
                Ok(_) => {}
                // Rows of the table are locked in any order, and keys may be taken by another writer.
                Err(sqlx::Error::Database(error))
                    if matches!(error.code().as_deref(), Some("40P01" | "23505")) =>
                {
                    whole = false;
                    break;
                }
                Err(error) => bail!("a write failed: {error}"),
            }
        }
        if whole && chance.u8(..6) > 0 {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_other_programs_write_arrives_in_order() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let Database::Postgres { pool, .. } = &stack.master else {
        bail!("the stack of servers has PostgreSQL");
    };
    let mut connection = pool.acquire().await?.detach();
    for cqrs_id in [TABLE_MODEL, STEP_MODEL] {
        let model = SourceModel::new(cqrs_id.parse()?, "account", vec!["id".to_owned()]);
        ensure!(connection.install(&model).await? == Installed::New);
    }
    let processes = [
        stack.worker("worker-1")?,
        stack.worker("worker-2")?,
        stack.relay("relay-1")?,
        stack.relay("relay-2")?,
    ];
    let doomed = stack.relay("relay-doomed")?;
    let mut writers = JoinSet::new();
    for seed in 0..3 {
        writers.spawn(write(pool.clone(), seed));
    }
    ledger::in_the_middle(&stack.replica, PATIENCE).await?;
    doomed.kill().await?;
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let events = ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ensure!(events > 600, "only {events} events were recorded");
    ledger::verify(&stack.master, &stack.replica).await?;
    for process in processes {
        process.terminate().await?;
    }
    Ok(())
}
