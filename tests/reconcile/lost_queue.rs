//! A queue that somebody has deleted: that a comparison is needed stands until there has been one.

use anyhow::{Context, Result, ensure};
use cqrs_core::QueueName;
use cqrs_tests::{
    rabbitmq::{self, Admin},
    wait::{Seen, until},
};
use serde_json::Value;

use crate::world::{PATIENCE, World};

async fn needs_reconcile(world: &World) -> Result<bool> {
    let status = world
        .stack
        .run("cqrs-replica", &["status", "--json"])
        .await?;
    let status: Value = serde_json::from_str(&status)?;
    status["needs_reconcile"]
        .as_bool()
        .context("no such member")
}

async fn lose_the_queue(world: &World, admin: &Admin) -> Result<()> {
    admin
        .delete_queue(&QueueName::new(&world.stack.queue)?)
        .await;
    until("the loss is known", PATIENCE, async || {
        Ok(Seen::equal(&needs_reconcile(world).await?, &true))
    })
    .await
}

async fn a_lost_queue_is_told_until_all_is_compared(world: World) -> Result<()> {
    let admin = Admin::connect(&rabbitmq::url()).await;
    let (relay, worker) = (world.relay()?, world.worker()?);
    world.save(1..=3, "first").await?;
    world.arrived("first", 3).await?;
    let all = ["reconcile", "--all", "--master", world.stack.master.url()];
    let repair = [all.as_slice(), &["--repair"]].concat();
    for round in 0..2 {
        lose_the_queue(&world, &admin).await?;
        world
            .stack
            .replica
            .execute("delete from account_copy where id = 1")
            .await?;
        // What has found something makes nothing good, nor what has looked at one model only.
        let (code, ..) = world.stack.outcome("cqrs-replica", &all).await?;
        ensure!(code == 1 && needs_reconcile(&world).await?, "round {round}");
        world.reconcile(&["--repair"]).await?;
        ensure!(needs_reconcile(&world).await?, "round {round}");

        let (code, _, log) = world.stack.outcome("cqrs-replica", &repair).await?;
        ensure!(code == 0, "round {round}: {log}");
        ensure!(!needs_reconcile(&world).await?, "round {round}: {log}");
    }
    worker.terminate().await?;
    ensure!(!needs_reconcile(&world).await?);
    relay.terminate().await?;
    admin.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_queue_is_told_until_all_is_compared_on_servers() -> Result<()> {
    a_lost_queue_is_told_until_all_is_compared(World::servers().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_queue_is_told_until_all_is_compared_on_sqlite() -> Result<()> {
    let directory = tempfile::tempdir()?;
    a_lost_queue_is_told_until_all_is_compared(World::to_sqlite(directory.path()).await?).await
}
