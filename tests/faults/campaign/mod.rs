//! A service under load whose processes, servers and links fail, at random, from one seed. Each verdict
//! compares the replica with a ledger of what was committed.
//!
//! `scripts/soak MINUTES [--seed N]` runs it for longer. The seed gives the faults and what the writers
//! do; where in the writers' work a fault comes differs from run to run.

mod calm;
mod faults;
mod ledger;
mod schedule;
mod tables;
mod verdict;
mod world;
mod writers;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use cqrs_tests::services::optional;
use tokio::time::{Instant, sleep};

use self::{
    schedule::{Round, Schedule},
    world::World,
    writers::Writers,
};

/// The run that is part of the suite.
const SEED: u64 = 1;
const TIME: Duration = Duration::from_secs(90);
/// How many rounds of faults there are from one verdict to the next.
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_and_nothing_else_arrives_whatever_fails() -> Result<()> {
    let number = |name: &str| optional(name).map(|text| text.parse::<u64>()).transpose();
    let seed = number("CQRS_TEST_SOAK_SEED")?.unwrap_or(SEED);
    let minutes = number("CQRS_TEST_SOAK_MINUTES")?;
    let time = minutes.map_or(TIME, |minutes| Duration::from_secs(minutes * 60));
    // A queue's loss is made good by a reconcile, after which less is compared: not in the short run.
    let schedule = Schedule::new(seed, minutes.is_some());
    let world = Arc::new(World::new(schedule.relays, schedule.workers).await?);
    eprintln!(
        "campaign: seed {seed}, {time:?}, {} relays, {} workers",
        schedule.relays, schedule.workers
    );
    let outcome = run(&world, schedule, seed, time).await;
    if outcome.is_err() {
        let logs = world.keep_logs()?;
        eprintln!("campaign: seed {seed} FAILED; logs in {}", logs.display());
    }
    outcome.with_context(|| format!("seed {seed}"))
}

async fn run(world: &Arc<World>, mut schedule: Schedule, seed: u64, time: Duration) -> Result<()> {
    let began = Instant::now();
    let writers = Writers::start(world, seed);
    let mut lost = false;
    while began.elapsed() < time {
        for _ in 0..ROUNDS {
            let round = schedule.round();
            lost |= round
                .faults
                .iter()
                .any(|(fault, _, _)| fault.loses_messages());
            inflict(world, &writers, &round, began).await?;
        }
        let _quiet = writers.quiet.write().await;
        let paused = Instant::now();
        let verdict = verdict::pass(world, lost).await?;
        eprintln!(
            "{:>5} s: verdict holds after {} ms{}: {} of {} transactions committed, {} states applied",
            began.elapsed().as_secs(),
            paused.elapsed().as_millis(),
            if lost { ", messages lost" } else { "" },
            verdict.committed,
            verdict.attempted,
            verdict.states,
        );
    }
    writers.stop().await?;
    verdict::pass(world, lost).await?;
    calm::counts_add_up(world, seed).await?;
    eprintln!(
        "campaign: seed {seed} holds after {} s",
        began.elapsed().as_secs()
    );
    Ok(())
}

/// All faults of a round at their times, and what they say.
async fn inflict(world: &World, writers: &Writers, round: &Round, began: Instant) -> Result<()> {
    let all = round
        .faults
        .iter()
        .map(|(fault, after, lasting)| async move {
            sleep(*after).await;
            eprintln!(
                "{:>5} s: {fault} for {lasting:?}",
                began.elapsed().as_secs()
            );
            fault
                .inflict(world, writers, *lasting)
                .await
                .with_context(|| format!("the fault itself: {fault}"))
        });
    futures_util::future::try_join_all(all).await?;
    Ok(())
}
