//! Whether all that was committed, and nothing else, has come to the replica, once and in order.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use cqrs_tests::wait::{Seen, until};

use super::{
    ledger::Settled,
    world::{Side, World},
    writers,
};

/// How long all that is on its way may take, faults being over.
const PATIENCE: Duration = Duration::from_secs(90);

/// What both sides must agree on: a name, and the query of either side.
const EQUAL: [(&str, &str, &str); 4] = [
    (
        "parent",
        "select id::text, name, counter::text, turn from parent order by id",
        "select id::text, name, counter::text, turn from parent_copy order by id",
    ),
    (
        "child",
        "select id::text, parent_id::text, note, turn from child order by id",
        "select id::text, parent_id::text, note, turn from child_copy order by id",
    ),
    (
        "item",
        "select tenant, number::text, payload, turn from item order by tenant collate \"C\", number",
        "select tenant, number::text, payload, turn from item_copy order by tenant collate \"C\", number",
    ),
    (
        // What begins and ends in one transaction is known to the master alone, with revision 0.
        "revision",
        "select cqrs_id, instance_pk, revision::text, deleted::text from cqrs_revision
         where not (deleted and revision = 0) order by 1, 2",
        "select cqrs_id, instance_pk, revision::text, deleted::text from cqrs_replica_state
         where revision >= 0 and not (deleted and revision = 0) order by 1, 2",
    ),
];

const NOTHING_LEFT: [(Side, &str, &str); 3] = [
    (
        Side::Master,
        "rows of the outbox",
        "select count(*)::text from cqrs_outbox",
    ),
    (
        Side::Master,
        "dead rows",
        "select count(*)::text from cqrs_outbox_dead",
    ),
    (
        Side::Replica,
        "letters",
        "select count(*)::text from cqrs_dead_letter where state in ('waiting', 'retrying', 'dead')",
    ),
];

/// What was looked at, for the report.
pub(super) struct Verdict {
    pub(super) attempted: usize,
    pub(super) committed: usize,
    pub(super) states: i64,
}

/// No writer may be at work. `lost`: messages were, which a reconcile has to make good, and a handler in
/// step passes over them.
pub(super) async fn pass(world: &World, lost: bool) -> Result<Verdict> {
    world.expect_running().await?;
    if lost {
        nothing_is_left(world, &NOTHING_LEFT[..1]).await?;
        world
            .stack
            .run("cqrs-replica", &["reconcile", "--all", "--repair", "--yes"])
            .await?;
    }
    nothing_is_left(world, &NOTHING_LEFT).await?;
    let compared = if lost { &EQUAL[..3] } else { &EQUAL[..] };
    for (name, master, replica) in compared {
        equal(world, name, master, replica).await?;
    }
    let settled = world.ledger.settle(writers::committed(world).await?)?;
    rows_are_of_committed_transactions(world, &settled).await?;
    states_go_forward(world).await?;
    steps_are_in_order(world, &settled, lost).await?;
    world.expect_running().await?;
    let states = world
        .database(Side::Replica)
        .number("select count(*)::text from state_journal")
        .await?;
    Ok(Verdict {
        attempted: settled.attempted,
        committed: settled.committed.len(),
        states,
    })
}

async fn nothing_is_left(world: &World, of: &[(Side, &str, &'static str)]) -> Result<()> {
    until("all is done with", PATIENCE, async || {
        let mut left = Vec::new();
        for (side, what, count) in of {
            let number = world.database(*side).number(count).await?;
            if number > 0 {
                left.push(format!("{number} {what}"));
            }
        }
        Ok(if left.is_empty() {
            Seen::Yes
        } else {
            Seen::NotYet(left.join(", "))
        })
    })
    .await
}

async fn equal(
    world: &World,
    name: &str,
    master: &'static str,
    replica: &'static str,
) -> Result<()> {
    // The master has no writers any more.
    let there = world.database(Side::Master).rows(master).await?;
    until(&format!("{name} is equal"), PATIENCE, async || {
        let here = world.database(Side::Replica).rows(replica).await?;
        if there == here {
            return Ok(Seen::Yes);
        }
        let first = there.iter().zip(&here).find(|(there, here)| there != here);
        let missing = there.iter().filter(|row| !here.contains(row)).take(20);
        Ok(Seen::NotYet(format!(
            "{} rows there, {} here, the first that differ {first:?}; missing {:?}",
            there.len(),
            here.len(),
            missing.collect::<Vec<_>>()
        )))
    })
    .await
}

/// A row that was written here says by which transaction it was made.
async fn rows_are_of_committed_transactions(world: &World, settled: &Settled) -> Result<()> {
    let turns = world
        .database(Side::Replica)
        .rows("select distinct turn from row_journal")
        .await?;
    for turn in turns.into_iter().flatten().flatten() {
        ensure!(
            settled.committed.contains(&turn),
            "the replica wrote what {turn} did, which was rolled back"
        );
    }
    Ok(())
}

/// Each revision of an instance at most once, and in order.
async fn states_go_forward(world: &World) -> Result<()> {
    let wrong = world
        .database(Side::Replica)
        .rows(
            "select cqrs_id, instance, revision::text, before::text from (
                select cqrs_id, instance, revision,
                       lag(revision) over (partition by cqrs_id, instance order by entry) as before
                from state_journal) as steps
             where revision <= before limit 20",
        )
        .await?;
    ensure!(
        wrong.is_empty(),
        "revisions twice or out of order: {wrong:?}"
    );
    Ok(())
}

/// The handler saw each committed event once, in order, and no other.
async fn steps_are_in_order(world: &World, settled: &Settled, lost: bool) -> Result<()> {
    let journal = world
        .database(Side::Replica)
        .rows("select instance, revision::text, signal, turn from step_journal order by entry")
        .await?;
    let mut seen: HashMap<String, i64> = HashMap::new();
    for line in journal {
        let [Some(instance), Some(revision), Some(signal), Some(turn)] = line.as_slice() else {
            bail!("an incomplete line of the handler's journal: {line:?}");
        };
        let revision: i64 = revision.parse()?;
        let before = seen.insert(instance.clone(), revision).unwrap_or(-1);
        let events = settled.steps.get(instance);
        let next = events.and_then(|all| all.range(before + 1..).next());
        ensure!(
            next.is_some_and(|(next, _)| *next == revision) || (lost && revision > before),
            "step {instance}: the handler saw revision {revision} after {before}, next was {next:?}"
        );
        let event = events.and_then(|all| all.get(&revision));
        let (committed, by) = event.with_context(|| format!("{line:?} was never committed"))?;
        ensure!(
            committed.as_str() == signal && by == turn,
            "{line:?} was committed as {committed:?} by {by}"
        );
    }
    for (instance, revisions) in &settled.steps {
        let newest = revisions.last_key_value().map(|(revision, _)| *revision);
        let seen = seen.get(instance).copied();
        ensure!(
            lost || seen == newest,
            "step {instance}: the handler saw up to {seen:?} of {newest:?}"
        );
    }
    Ok(())
}
