//! Every way in which a row can differ is found, told apart and mended.

use anyhow::{Result, ensure};
use cqrs_tests::process::Process;

use crate::world::World;

fn running(world: &World) -> Result<(Process, Process)> {
    Ok((world.relay()?, world.worker()?))
}

async fn every_kind_is_found_and_repaired(world: World) -> Result<()> {
    let (relay, worker) = running(&world)?;
    world.save(1..=40, "first").await?;
    world.save([3, 4], "second").await?;
    world.arrived("first", 38).await?;
    world.arrived("second", 2).await?;
    world.reconcile(&[]).await?.expect_well()?;

    let (master, replica) = (&world.stack.master, &world.stack.replica);
    replica
        .execute("delete from account_copy where id = 1")
        .await?;
    replica
        .execute("update account_copy set full_name = 'wrong' where id = 2")
        .await?;
    replica
        .execute("update cqrs_replica_state set revision = 0 where instance_pk = '3'")
        .await?;
    replica
        .execute("update cqrs_replica_state set revision = 9 where instance_pk = '4'")
        .await?;
    master.execute("delete from accounts where id = 5").await?;
    master
        .execute("update accounts set status = 'hidden' where id = 6")
        .await?;
    replica
        .execute("delete from account_copy where id = 7")
        .await?;
    replica
        .execute(
            "update cqrs_replica_state set revision = 5, deleted_at = applied_at \
             where instance_pk = '7'",
        )
        .await?;
    replica
        .execute("insert into account_copy (id, full_name) values (100, 'nobody')")
        .await?;
    replica
        .execute("delete from cqrs_replica_state where instance_pk = '8'")
        .await?;
    let found = world.reconcile(&[]).await?;
    let kinds = [
        (1, "missing"),
        (2, "content"),
        (3, "stale"),
        (4, "ahead"),
        (5, "extra"),
        (6, "extra"),
        (7, "missing"),
        (8, "stale"),
        (100, "extra"),
    ];
    ensure!(found.code == 1 && found.kinds() == kinds, "{found:?}");
    ensure!(
        found.log.contains("9 rows of this replica differ"),
        "{found:?}"
    );

    let repaired = world.reconcile(&["--repair"]).await?;
    ensure!(
        repaired.code == 0 && repaired.kinds() == kinds,
        "{repaired:?}"
    );
    world.expect_equal().await?;
    world.reconcile(&[]).await?.expect_well()?;

    // What was deleted can be created anew, at whatever revision.
    world.save([5, 6, 100], "again").await?;
    world.arrived("again", 3).await?;
    world.save([1, 2, 3, 4, 7, 8], "after").await?;
    world.arrived("after", 6).await?;
    world.reconcile(&[]).await?.expect_well()?;
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_repaired_embedded() -> Result<()> {
    every_kind_is_found_and_repaired(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_repaired_on_servers() -> Result<()> {
    every_kind_is_found_and_repaired(World::servers().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_repaired_from_postgres_to_sqlite() -> Result<()> {
    let directory = tempfile::tempdir()?;
    every_kind_is_found_and_repaired(World::to_sqlite(directory.path()).await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_repaired_from_sqlite_to_postgres() -> Result<()> {
    let directory = tempfile::tempdir()?;
    every_kind_is_found_and_repaired(World::to_postgres(directory.path()).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_repaired_by_the_embedded_broker() -> Result<()> {
    every_kind_is_found_and_repaired(World::embedded().await?.by_the_broker()).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_repaired_by_rabbitmq() -> Result<()> {
    every_kind_is_found_and_repaired(World::servers().await?.by_the_broker()).await
}
