//! Asking a relay by the broker, when something is amiss.

use anyhow::{Result, ensure};
use cqrs_tests::wait::{Seen, until};

use crate::world::{PATIENCE, World};

async fn without_a_relay_the_error_says_so(world: World) -> Result<()> {
    let worker = world.worker()?;
    let relay = world.relay()?;
    world.save([1], "first").await?;
    world.arrived("first", 1).await?;
    world.reconcile(&[]).await?.expect_well()?;
    relay.terminate().await?;
    let asked = ["reconcile", "--model", "account"];
    until("the relay's queue goes", PATIENCE, async || {
        let (code, said, log) = world.stack.outcome("cqrs-replica", &asked).await?;
        ensure!(code == 1 && said.trim().is_empty(), "{said} {log}");
        Ok(
            if log.contains("no relay answers for account: run cqrs-relay") {
                Seen::Yes
            } else {
                Seen::NotYet(log)
            },
        )
    })
    .await?;
    worker.terminate().await
}

async fn what_the_relay_says_is_told(world: World) -> Result<()> {
    let (relay, worker) = (world.relay()?, world.worker()?);
    world.save([1], "first").await?;
    world.arrived("first", 1).await?;
    world
        .stack
        .master
        .execute("alter table accounts rename to elsewhere")
        .await?;
    let asked = ["reconcile", "--model", "account"];
    let (code, _, log) = world.stack.outcome("cqrs-replica", &asked).await?;
    ensure!(
        code == 1 && log.contains("there is no table \"accounts\""),
        "{log}"
    );
    let (code, _, log) = world
        .stack
        .outcome("cqrs-replica", &["reconcile", "--model", "nothing"])
        .await?;
    ensure!(code == 1 && log.contains("known are: account"), "{log}");
    // It goes on answering.
    world
        .stack
        .master
        .execute("alter table elsewhere rename to accounts")
        .await?;
    world.reconcile(&[]).await?.expect_well()?;
    worker.terminate().await?;
    relay.terminate().await
}

async fn a_relay_may_be_told_not_to_answer(world: World) -> Result<()> {
    let config = std::fs::read_to_string(world.stack.config())?;
    std::fs::write(
        world.stack.config(),
        format!("{config}\n[relay]\nreconcile = false\n"),
    )?;
    let (relay, worker) = (world.relay()?, world.worker()?);
    world.save([1], "first").await?;
    world.arrived("first", 1).await?;
    let asked = ["reconcile", "--all"];
    let (code, _, log) = world.stack.outcome("cqrs-replica", &asked).await?;
    ensure!(code == 1 && log.contains("no relay answers"), "{log}");
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_the_error_says_so_embedded() -> Result<()> {
    without_a_relay_the_error_says_so(World::embedded().await?.by_the_broker()).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_the_error_says_so_on_servers() -> Result<()> {
    without_a_relay_the_error_says_so(World::servers().await?.by_the_broker()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_says_is_told_embedded() -> Result<()> {
    what_the_relay_says_is_told(World::embedded().await?.by_the_broker()).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_says_is_told_on_servers() -> Result<()> {
    what_the_relay_says_is_told(World::servers().await?.by_the_broker()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_may_be_told_not_to_answer_embedded() -> Result<()> {
    a_relay_may_be_told_not_to_answer(World::embedded().await?.by_the_broker()).await
}
