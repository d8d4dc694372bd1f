//! What the workers count, when nobody is killed, adds up to what came and to what was applied.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_tests::wait::{Seen, until};

use super::{
    verdict,
    world::{Side, World},
    writers::Writers,
};

/// A batch writes one state for all revisions of an instance that it applies.
const STATES: &str =
    "select count(*)::text from state_journal where cqrs_id <> 'step' and not raised";
/// The handler is called for each.
const STEPS: &str = "select count(*)::text from step_journal";
/// Letters that were not applied because something newer was.
const SUPERSEDED: &str = "select count(*)::text from cqrs_dead_letter where state = 'superseded'";

/// How many transactions the writers end in calm, and within which time.
const TURNS: usize = 300;
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts all processes again, lets the writers work for a while, and ends everything in good order.
pub(super) async fn counts_add_up(world: &Arc<World>, seed: u64) -> Result<()> {
    world.terminate().await?;
    let replica = world.database(Side::Replica);
    let steps = replica.number(STEPS).await?;
    let (states, superseded) = (
        replica.number(STATES).await?,
        replica.number(SUPERSEDED).await?,
    );
    for node in &world.nodes {
        world.start(node).await?;
    }
    // Their names must not be those of before.
    let writers = Writers::start_numbered(world, seed, 1_000);
    let enough = world.ledger.turns() + TURNS;
    until("the writers write in calm", PATIENCE, async || {
        let turns = world.ledger.turns();
        Ok(if turns >= enough {
            Seen::Yes
        } else {
            Seen::NotYet(format!("{turns} turns of {enough}"))
        })
    })
    .await?;
    writers.stop().await?;
    verdict::pass(world, true).await?;
    world.terminate().await?;

    let counted = counters(world)?;
    let sum = |name: &str| -> i64 {
        let of_name = counted.iter().filter(|((of, _), _)| of == name);
        of_name.map(|(_, count)| count).sum()
    };
    let (received, acked) = (
        sum("cqrs_replica_received_total"),
        sum("cqrs_replica_acked_total"),
    );
    let (applied, skipped) = (
        sum("cqrs_replica_applied_total"),
        sum("cqrs_replica_skipped_total"),
    );
    let steps = replica.number(STEPS).await? - steps;
    let applied_steps: i64 = counted
        .iter()
        .filter(|((of, labels), _)| {
            of == "cqrs_replica_applied_total" && labels.starts_with("step,")
        })
        .map(|(_, count)| count)
        .sum();
    let kept = sum("cqrs_replica_letters_total");
    let states = replica.number(STATES).await? - states;
    let superseded = replica.number(SUPERSEDED).await? - superseded;
    eprintln!(
        "calm: {received} received, {acked} acknowledged, {applied} applied, {skipped} skipped, \
         {kept} kept as letters, {superseded} superseded letters, {states} states"
    );
    for ((name, labels), count) in &counted {
        if name == "cqrs_replica_skipped_total" {
            ensure!(!labels.is_empty(), "{count} skipped without a reason");
        }
    }
    ensure!(
        received == acked,
        "{received} received, {acked} acknowledged: {counted:?}"
    );
    ensure!(
        applied_steps == steps,
        "{applied_steps} applied, {steps} seen by the handler: {counted:?}"
    );
    let to_tables = applied - applied_steps;
    ensure!(
        to_tables >= states,
        "{to_tables} applied to tables, {states} states: {counted:?}"
    );
    // A letter is counted when it is kept, and when it is applied or skipped afterwards.
    let done = applied + skipped + superseded;
    ensure!(
        (received..=received + kept + superseded).contains(&done),
        "{received} received, {done} done with, {kept} kept: {counted:?}"
    );
    Ok(())
}

fn counters(world: &World) -> Result<BTreeMap<(String, String), i64>> {
    let mut counted = BTreeMap::new();
    for node in world.nodes.iter().filter(|node| node.side == Side::Replica) {
        let text = std::fs::read_to_string(world.counters(node))
            .with_context(|| format!("the counters of {}", node.label))?;
        for line in text.lines() {
            let (name, rest) = line.split_once(' ').context("a name")?;
            let (labels, count) = rest.rsplit_once(' ').context("labels")?;
            *counted
                .entry((name.to_owned(), labels.to_owned()))
                .or_default() += count.parse::<i64>()?;
        }
    }
    Ok(counted)
}
