//! Several processes of a Django master at once.

use anyhow::{Result, ensure};
use cqrs_tests::{process::Process, stack::Stack};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    changes::{Change, draw},
    compare::{COUNTRY, CUSTOMER, DEVICE, Table, copied},
    django::{Django, Operator},
    shop,
};

const TABLES: [Table; 3] = [CUSTOMER, COUNTRY, DEVICE];
const PROCESSES: u64 = 4;

/// Lets each process do its changes. Answers how many it could not do.
async fn storm(django: &Django, changes: impl Fn(u64) -> Vec<Change>) -> Result<usize> {
    let mut processes = JoinSet::new();
    for process in 0..PROCESSES {
        let mut operator = django.operator()?;
        let operations: Vec<Value> = changes(process).iter().map(Change::operation).collect();
        processes.spawn(async move { operator.attempt(&operations).await });
    }
    let mut failed = 0;
    while let Some(errors) = processes.join_next().await {
        failed += errors??.len();
    }
    Ok(failed)
}

async fn ends_well(stack: &Stack, worker: Process) -> Result<()> {
    copied(&TABLES, &stack.master, &stack.replica).await?;
    worker.terminate().await?;
    let left = shop::drain(&stack.queue).await?;
    ensure!(left.is_empty(), "{left:?}");
    copied(&TABLES, &stack.master, &stack.replica).await?;
    let letters = stack
        .replica
        .rows("select reason, error from cqrs_dead_letter where state in ('dead', 'retrying')")
        .await?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}

#[tokio::test]
async fn processes_on_rows_of_their_own() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    drop(django.open().await?);
    let worker = shop::our_replica(&stack).await?;
    let failed = storm(&django, |process| draw(process, 500, Some(process))).await?;
    ensure!(failed == 0, "Django could not do {failed} changes");
    ends_well(&stack, worker).await
}

/// django-cqrs may give two states one revision, and the fields of one writer the revision of another.
/// A sync of all rows settles it.
#[tokio::test]
async fn processes_on_the_same_rows_and_one_sync() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    let mut operator = django.open().await?;
    let worker = shop::our_replica(&stack).await?;
    let failed = storm(&django, |process| draw(process, 400, None)).await?;
    // Saving what another process has deleted meanwhile fails in Django itself.
    ensure!(failed < 200, "Django could not do {failed} changes");
    sync_all(&mut operator).await?;
    ends_well(&stack, worker).await
}

async fn sync_all(operator: &mut Operator) -> Result<()> {
    let syncs = ["customer", "country", "device"].map(|cqrs_id| json!(["sync_all", cqrs_id]));
    operator.operate(&syncs).await
}
