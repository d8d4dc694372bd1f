//! `reconcile --watch`.

use anyhow::{Result, ensure};
use cqrs_tests::{
    process::Process,
    wait::{Seen, until},
};

use crate::world::{PATIENCE, World};

async fn watching_mends_until_it_is_told_to_stop(world: World) -> Result<()> {
    let (relay, worker) = (world.relay()?, world.worker()?);
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    let config = world.stack.config();
    let config = config.display().to_string();
    let watch = Process::start(
        "cqrs-replica",
        "watch",
        world.stack.directory.path(),
        &[
            "reconcile",
            "--config",
            &config,
            "--all",
            "--repair",
            "--watch",
            "--every",
            "100ms",
        ],
        &world.stack.environment,
    )?;
    for id in 1..=3 {
        world
            .stack
            .replica
            .execute("delete from account_copy where id = 4")
            .await?;
        world.arrived("first", 5).await?;
        until("it is told", PATIENCE, async || {
            let log = watch.log();
            let told = log.matches("missing: 4").count();
            Ok(if told == id {
                Seen::Yes
            } else {
                Seen::NotYet(log)
            })
        })
        .await?;
    }
    let log = watch.log();
    ensure!(log.contains("1 repaired, 0 left"), "{log}");
    watch.terminate().await?;
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_mends_until_it_is_told_to_stop_embedded() -> Result<()> {
    watching_mends_until_it_is_told_to_stop(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn watching_mends_until_it_is_told_to_stop_on_servers() -> Result<()> {
    watching_mends_until_it_is_told_to_stop(World::servers().await?).await
}
