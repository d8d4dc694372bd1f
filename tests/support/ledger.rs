//! The proof afterwards: nothing lost, nothing twice, everything in order.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    database::Database,
    wait::{Seen, until},
    writers::STEP_MODEL,
};

/// The replica's tables: the copy, and one line for each event a handler saw, in its order.
pub const TABLES: [&str; 2] = [
    "create table account_copy
        (id bigint primary key, name text not null, version bigint not null, remark text)",
    "create table ledger (entry integer generated always as identity primary key,
        instance_pk text not null, revision bigint not null, signal text not null)",
];

/// What the handler writes for each event.
pub const ENTER: &str = "insert into ledger (instance_pk, revision, signal) values ($1, $2, $3)";

/// The ledger's form on `SQLite`.
pub const SQLITE_LEDGER: &str = "create table ledger (entry integer primary key autoincrement,
    instance_pk text not null, revision bigint not null, signal text not null)";

/// All events that were recorded: revisions count from 0 and have no gaps.
const RECORDED: &str = "select cast(coalesce(sum(revision + 1), 0) as text) from cqrs_revision";
/// All events that were applied.
const APPLIED: &str = "select cast(coalesce(sum(revision + 1), 0) as text) from cqrs_replica_state";

/// Waits until a good part of the events has been applied: the moment for something to happen.
///
/// # Errors
/// It is not within `limit`.
pub async fn in_the_middle(replica: &Database, limit: Duration) -> Result<()> {
    until("some events have been applied", limit, async || {
        let seen = replica
            .number("select cast(count(*) as text) from ledger")
            .await?;
        Ok(if seen >= 100 {
            Seen::Yes
        } else {
            Seen::NotYet(format!("{seen} applied"))
        })
    })
    .await
}

/// Waits until the replica has applied all that the master has recorded. Answers how many events.
///
/// # Errors
/// It does not within `limit`.
pub async fn caught_up(master: &Database, replica: &Database, limit: Duration) -> Result<i64> {
    until(
        "the replica catches up with the master",
        limit,
        async || {
            let recorded = master.number(RECORDED).await?;
            Ok(Seen::equal(&recorded, &replica.number(APPLIED).await?))
        },
    )
    .await?;
    until("the outbox becomes empty", limit, async || {
        let left = master
            .number("select cast(count(*) as text) from cqrs_outbox")
            .await?;
        Ok(Seen::equal(&left, &0))
    })
    .await?;
    master.number(RECORDED).await
}

/// Compares the master's table with its copy, row by row.
///
/// # Errors
/// They differ, and how.
pub async fn verify_rows(master: &Database, replica: &Database) -> Result<()> {
    let rows = master
        .rows(
            "select cast(id as text), name, cast(version as text), note from account
             order by id",
        )
        .await?;
    let copies = replica
        .rows(
            "select cast(id as text), name, cast(version as text), remark from account_copy
             order by id",
        )
        .await?;
    for (row, copy) in rows.iter().zip(&copies) {
        ensure!(row == copy, "the master has {row:?}, the replica {copy:?}");
    }
    ensure!(
        rows.len() == copies.len(),
        "{} rows, {} copies",
        rows.len(),
        copies.len()
    );
    Ok(())
}

/// Compares the two sides row by row and revision by revision, reads the ledger line by line, and
/// looks for what was given up.
///
/// # Errors
/// They differ, and how.
pub async fn verify(master: &Database, replica: &Database) -> Result<()> {
    verify_rows(master, replica).await?;
    let known = master
        .rows(
            "select cqrs_id, instance_pk, cast(revision as text),
             case when deleted then 'deleted' else 'live' end
             from cqrs_revision order by cqrs_id, instance_pk",
        )
        .await?;
    let applied = replica
        .rows(
            "select cqrs_id, instance_pk, cast(revision as text),
             case when deleted then 'deleted' else 'live' end
             from cqrs_replica_state order by cqrs_id, instance_pk",
        )
        .await?;
    ensure!(
        known == applied,
        "revisions differ: master {known:?}, replica {applied:?}"
    );

    in_step(&known, replica).await?;
    let letters = replica
        .rows(
            "select state, reason, error from cqrs_dead_letter
        where state not in ('resolved', 'superseded')",
        )
        .await?;
    ensure!(letters.is_empty(), "letters are left: {letters:?}");
    let dead = master
        .number("select cast(count(*) as text) from cqrs_outbox_dead")
        .await?;
    ensure!(dead == 0, "{dead} dead rows");
    Ok(())
}

/// The handler saw each revision of each instance once, from 0 to the last, in order.
async fn in_step(known: &[Vec<Option<String>>], replica: &Database) -> Result<()> {
    let mut next: BTreeMap<String, i64> = BTreeMap::new();
    let ledger = replica
        .rows("select instance_pk, cast(revision as text), signal from ledger order by entry")
        .await?;
    for line in &ledger {
        let [Some(instance_pk), Some(revision), Some(_)] = line.as_slice() else {
            anyhow::bail!("a ledger line without values: {line:?}");
        };
        let expected = next.entry(instance_pk.clone()).or_default();
        ensure!(
            revision.parse::<i64>()? == *expected,
            "{instance_pk}: the handler saw revision {revision} where {expected} was next"
        );
        *expected += 1;
    }
    for row in known {
        let [Some(cqrs_id), Some(instance_pk), Some(revision), _] = row.as_slice() else {
            anyhow::bail!("a revision without values: {row:?}");
        };
        if cqrs_id == STEP_MODEL {
            let seen = next.get(instance_pk).copied().unwrap_or(0);
            ensure!(
                seen == revision.parse::<i64>()? + 1,
                "{instance_pk}: the handler saw {seen} events, the last revision is {revision}"
            );
        }
    }
    Ok(())
}
