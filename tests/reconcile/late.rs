//! What is on its way is late, and not wrong.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use cqrs_tests::{
    pause::pause,
    process::Process,
    wait::{Seen, until},
};
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, Said, World, save};

/// How many rows are late, and why.
fn late(said: &Said) -> Vec<(&str, i64)> {
    let late = said.report["late"].as_object();
    let late = late.into_iter().flatten();
    late.map(|(why, count)| (why.as_str(), count.as_i64().unwrap_or(-1)))
        .collect()
}

async fn nothing_is_reported_while_accounts_are_written(world: World) -> Result<()> {
    let relay = world.relay()?;
    let worker = world.worker()?;
    world.save(1..=50, "first").await?;
    world.arrived("first", 50).await?;
    let stop = CancellationToken::new();
    let (master, stopped) = (&world.stack.master, stop.clone());
    let written = AtomicI64::new(0);
    let writing = async {
        while !stopped.is_cancelled() {
            let number = written.fetch_add(1, Ordering::Relaxed);
            let name = format!("name {number}");
            save(master, number % 70 + 1, &name, 1.25).await?;
        }
        anyhow::Ok(())
    };
    let looking = async {
        let _done = stop.clone().drop_guard();
        let mut rounds = Vec::new();
        while rounds.len() < 10 || written.load(Ordering::Relaxed) < 200 {
            rounds.push(world.reconcile(&[]).await?);
        }
        anyhow::Ok(rounds)
    };
    let (wrote, rounds) = tokio::join!(writing, looking);
    wrote?;
    let rounds = rounds?;
    for round in &rounds {
        round.expect_well()?;
    }
    let differing = |round: &Said| round.report["ranges_differing"].as_i64().unwrap_or(0) > 0;
    ensure!(
        rounds.iter().any(differing),
        "no round met a change: {rounds:?}"
    );
    worker.terminate().await?;
    relay.terminate().await
}

async fn without_a_worker_rows_are_late(world: World) -> Result<()> {
    let relay = world.relay()?;
    let worker = world.worker()?;
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    worker.terminate().await?;
    world.save([1, 2], "second").await?;
    until("they are sent", PATIENCE, async || {
        let rows = "select cast(count(*) as text) from cqrs_outbox";
        Ok(Seen::equal(&world.stack.master.number(rows).await?, &0))
    })
    .await?;
    let said = world.reconcile(&["--repair"]).await?;
    said.expect_well()?;
    ensure!(late(&said) == [("no worker is running", 2)], "{said:?}");
    let worker = world.worker()?;
    world.arrived("second", 2).await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(late(&said).is_empty(), "{said:?}");
    worker.terminate().await?;
    relay.terminate().await
}

async fn a_stopped_worker_and_a_stopped_relay_are_waited_for(world: World) -> Result<()> {
    let relay = world.relay()?;
    let worker = world.worker()?;
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    pause(&worker, world.stack.directory.path()).await?;
    world.save([1], "second").await?;
    until("it is sent", PATIENCE, async || {
        let rows = "select cast(count(*) as text) from cqrs_outbox";
        Ok(Seen::equal(&world.stack.master.number(rows).await?, &0))
    })
    .await?;
    let said = world.reconcile(&["--patience", "1s"]).await?;
    said.expect_well()?;
    ensure!(late(&said).len() == 1, "{said:?}");
    worker.signal(rustix::process::Signal::CONT)?;
    world.arrived("second", 1).await?;
    relay.terminate().await?;
    world.save([2, 3, 4], "third").await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(
        late(&said) == [("an event is in the outbox", 3)],
        "{said:?}"
    );
    worker.terminate().await
}

async fn letters_are_named(world: World) -> Result<()> {
    let (relay, worker): (Process, Process) = (world.relay()?, world.worker()?);
    world.save([1, 2], "first").await?;
    world.arrived("first", 2).await?;
    let replica = &world.stack.replica;
    // Names have to be short from now on.
    let refuse = match replica {
        cqrs_tests::database::Database::Postgres { .. } => {
            "alter table account_copy add check (length(full_name) < 10) not valid"
        }
        cqrs_tests::database::Database::Sqlite { .. } => {
            "create trigger short before update on account_copy when length(new.full_name) > 9 \
             begin select raise(abort, 'too long a name'); end"
        }
    };
    replica.execute(refuse).await?;
    world.save([1], "a name of some length").await?;
    let open = "select cast(count(*) as text) from cqrs_dead_letter where state = 'retrying'";
    until("it is a letter", PATIENCE, async || {
        Ok(Seen::equal(&replica.number(open).await?, &1))
    })
    .await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(
        late(&said) == [("a letter waits or is tried again", 1)],
        "{said:?}"
    );
    replica
        .execute("update cqrs_dead_letter set state = 'dead', next_attempt_at = null")
        .await?;
    let said = world.reconcile(&["--repair", "--patience", "3s"]).await?;
    ensure!(said.code == 1 && said.kinds() == [(1, "stale")], "{said:?}");
    let row = &said.report["found"][0];
    ensure!(
        row["state"] == "left" && row["dead_letters"][0].is_i64(),
        "{said:?}"
    );
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_while_accounts_are_written_embedded() -> Result<()> {
    nothing_is_reported_while_accounts_are_written(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_while_accounts_are_written_on_servers() -> Result<()> {
    nothing_is_reported_while_accounts_are_written(World::servers().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_rows_are_late_embedded() -> Result<()> {
    without_a_worker_rows_are_late(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_rows_are_late_on_servers() -> Result<()> {
    without_a_worker_rows_are_late(World::servers().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_and_a_stopped_relay_are_waited_for_embedded() -> Result<()> {
    a_stopped_worker_and_a_stopped_relay_are_waited_for(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_and_a_stopped_relay_are_waited_for_on_servers() -> Result<()> {
    a_stopped_worker_and_a_stopped_relay_are_waited_for(World::servers().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_named_embedded() -> Result<()> {
    letters_are_named(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_named_on_servers() -> Result<()> {
    letters_are_named(World::servers().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_while_accounts_are_written_by_the_embedded_broker() -> Result<()> {
    let world = World::embedded().await?.by_the_broker();
    nothing_is_reported_while_accounts_are_written(world).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_while_accounts_are_written_by_rabbitmq() -> Result<()> {
    let world = World::servers().await?.by_the_broker();
    nothing_is_reported_while_accounts_are_written(world).await
}
