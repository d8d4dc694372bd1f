//! What a Django master does that a replica must not fall for.

use anyhow::{Result, ensure};
use cqrs_tests::{
    process::Process,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::json;

use crate::{
    compare::{COUNTRY, CUSTOMER, PATIENCE, copied},
    django::{Django, Operator},
    shop,
};

/// A Django master and our worker.
async fn pair() -> Result<(Stack, Operator, Process)> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    let operator = django.open().await?;
    let worker = shop::our_replica(&stack).await?;
    Ok((stack, operator, worker))
}

const STATES: &str = "select instance_pk, cast(revision as text), cast(deleted as text)
    from cqrs_replica_state order by instance_pk";

/// Waits until the worker knows these instances: key, revision, and whether it is deleted.
async fn known(stack: &Stack, expected: &[(&str, i64, bool)]) -> Result<()> {
    let expected: Vec<Vec<Option<String>>> = expected
        .iter()
        .map(|(key, revision, deleted)| {
            vec![
                Some((*key).to_owned()),
                Some(revision.to_string()),
                Some(deleted.to_string()),
            ]
        })
        .collect();
    until("the worker knows it", PATIENCE, async || {
        Ok(Seen::equal(&stack.replica.rows(STATES).await?, &expected))
    })
    .await
}

/// A delete counts from the object in memory, however often others have saved the row.
#[tokio::test]
async fn a_delete_may_carry_a_lower_revision() -> Result<()> {
    let (stack, mut operator, worker) = pair().await?;
    operator
        .operate(&[
            json!(["create", "customer", {"id": 1, "name": "one"}]),
            json!(["delete_stale", "customer", 1, {"name": "saved by others"}]),
        ])
        .await?;
    // The saves had 0 to 3, the delete has 1; the highest is remembered.
    known(&stack, &[("1", 3, true)]).await?;
    copied(&[CUSTOMER], &stack.master, &stack.replica).await?;
    worker.terminate().await
}

/// Django keeps no tombstones, so a row that comes back counts from 0.
#[tokio::test]
async fn a_row_that_comes_back_starts_at_0() -> Result<()> {
    let (stack, mut operator, worker) = pair().await?;
    operator
        .operate(&[
            json!(["create", "country", {"code": "de", "name": "one"}]),
            json!(["update", "country", "de", {"name": "two"}]),
            json!(["update", "country", "de", {"name": "three"}]),
            json!(["delete", "country", "de"]),
            json!(["create", "country", {"code": "de", "name": "again"}]),
        ])
        .await?;
    known(&stack, &[("de", 0, false)]).await?;
    copied(&[COUNTRY], &stack.master, &stack.replica).await?;
    worker.terminate().await
}

/// The event of its creation names no instance. It is a dead letter, and everything else goes on.
#[tokio::test]
async fn created_and_deleted_in_one_transaction_has_no_key() -> Result<()> {
    const LETTERS: &str = "select state, reason from cqrs_dead_letter";
    let (stack, mut operator, worker) = pair().await?;
    operator
        .operate(&[
            json!(["create_and_delete", "customer", {"name": "short-lived"}]),
            json!(["create", "country", {"code": "de", "name": "after it"}]),
        ])
        .await?;
    copied(&[COUNTRY, CUSTOMER], &stack.master, &stack.replica).await?;
    let letter = ["dead", "unreadable"].map(|text| Some(text.to_owned()));
    until("there is a letter", PATIENCE, async || {
        let letters = stack.replica.rows(LETTERS).await?;
        Ok(Seen::equal(&letters, &vec![letter.to_vec()]))
    })
    .await?;
    worker.terminate().await
}

/// ujson cannot write the key of the message; the row is gone there and stays here, as on any replica.
#[tokio::test]
async fn a_delete_by_uuid_never_leaves_django() -> Result<()> {
    let (stack, mut operator, worker) = pair().await?;
    let id = "00000000-0000-0000-0000-00000000000a";
    let errors = operator
        .attempt(&[
            json!(["create", "device", {"id": id, "label": "one", "serial": 1}]),
            json!(["delete", "device", id]),
        ])
        .await?;
    ensure!(
        errors.len() == 1 && errors[0].contains("UUID"),
        "{errors:?}"
    );
    known(&stack, &[(id, 0, false)]).await?;
    worker.terminate().await
}

/// Without time zones, times come without an offset. They are taken as UTC.
#[tokio::test]
async fn times_without_an_offset_are_read() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master).with("INTEROP_USE_TZ", "no");
    let mut operator = django.open().await?;
    let worker = shop::our_replica(&stack).await?;
    operator
        .operate(&[
            json!(["create", "customer", {"id": 1, "name": "one", "seen": "2026-01-02T03:04:05.678901"}]),
            json!(["update", "customer", 1, {"name": "two"}]),
            json!(["delete", "customer", 1]),
            json!(["create", "customer", {"id": 1, "name": "again", "seen": "2026-01-02T03:04:05"}]),
            json!(["update", "customer", 1, {"name": "last"}]),
        ])
        .await?;
    known(&stack, &[("1", 1, false)]).await?;
    copied(&[CUSTOMER], &stack.master, &stack.replica).await?;
    worker.terminate().await
}
