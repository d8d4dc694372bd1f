//! Every way in which a row can differ is found, told apart and mended.

use anyhow::{Result, ensure};
use cqrs_tests::{database::Database, process::Process};

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

/// While a sync is on its way, nothing older comes before it.
async fn what_is_repaired_is_known_until_the_sync_comes(world: World) -> Result<()> {
    let (relay, worker) = running(&world)?;
    world.save(1..=2, "first").await?;
    world.arrived("first", 2).await?;
    relay.terminate().await?;
    let replica = &world.stack.replica;
    replica
        .execute("delete from account_copy where id = 1")
        .await?;
    replica
        .execute(
            "update cqrs_replica_state set revision = 5, deleted_at = applied_at \
             where instance_pk = '1'",
        )
        .await?;
    let repaired = world.reconcile(&["--repair", "--patience", "2s"]).await?;
    ensure!(
        repaired.code == 1 && repaired.kinds() == [(1, "missing")],
        "{repaired:?}"
    );
    let known = "select cast(revision as text) from cqrs_replica_state where instance_pk = '1'";
    ensure!(replica.number(known).await? == 5);
    let relay = world.relay()?;
    world.arrived("first", 2).await?;
    world.expect_equal().await?;
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_repaired_is_known_until_the_sync_comes_embedded() -> Result<()> {
    what_is_repaired_is_known_until_the_sync_comes(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_repaired_is_known_until_the_sync_comes_on_servers() -> Result<()> {
    what_is_repaired_is_known_until_the_sync_comes(World::servers().await?).await
}

/// A master that lacks most of the rows is the wrong one, or not restored yet.
async fn a_master_without_the_rows_does_not_empty_the_table(world: World) -> Result<()> {
    let (relay, worker) = running(&world)?;
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    let replica = &world.stack.replica;
    replica
        .execute(
            "with recursive g (i) as (select 1000 union all select i + 1 from g where i < 1199)
             insert into account_copy (id, full_name) select i, 'only here' from g",
        )
        .await?;
    replica
        .execute("delete from account_copy where id = 1")
        .await?;
    let before = replica
        .rows("select cast(id as text) from account_copy order by account_copy.id")
        .await?;
    let words = "200 of 204 rows would be deleted, and the limit is 100";
    for limit in [&["--repair"][..], &["--repair", "--max-deletes", "100"]] {
        let refused = world.reconcile(limit).await?;
        ensure!(
            refused.code == 1 && refused.log.contains(words),
            "{refused:?}"
        );
        ensure!(
            refused.report["refused"]["deletes"] == 200,
            "{:?}",
            refused.report
        );
        // Nor is anything sent again by such a master.
        let after = replica
            .rows("select cast(id as text) from account_copy order by account_copy.id")
            .await?;
        ensure!(after == before, "{after:?}");
    }
    let looked = world.reconcile(&[]).await?;
    ensure!(looked.report["refused"].is_null(), "{looked:?}");
    let mended = world.reconcile(&["--repair", "--yes"]).await?;
    ensure!(mended.code == 0, "{mended:?}");
    world.expect_equal().await?;
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_without_the_rows_does_not_empty_the_table_embedded() -> Result<()> {
    a_master_without_the_rows_does_not_empty_the_table(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn a_master_without_the_rows_does_not_empty_the_table_by_rabbitmq() -> Result<()> {
    let world = World::servers().await?.by_the_broker();
    a_master_without_the_rows_does_not_empty_the_table(world).await
}

/// A row that is too long for a message costs only itself.
async fn a_row_that_cannot_be_sent_holds_up_no_other(mut world: World) -> Result<()> {
    let limit = ("CQRS_BROKER_MAX_MESSAGE_BYTES", "1048576");
    world
        .stack
        .environment
        .push((limit.0.to_owned(), limit.1.to_owned()));
    let (relay, worker) = running(&world)?;
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    let master = &world.stack.master;
    let long = match master {
        Database::Postgres { .. } => {
            "insert into accounts select 50, repeat('x', 2000000), 1, null, 'active'"
        }
        Database::Sqlite { .. } => {
            "insert into accounts select 50, hex(zeroblob(1000000)), 1, null, 'active'"
        }
    };
    master.execute(long).await?;
    master
        .execute("insert into accounts select 51, 'short', 1, null, 'active'")
        .await?;
    let mended = world.reconcile(&["--repair", "--patience", "3s"]).await?;
    let kinds = [(50, "missing"), (51, "missing")];
    ensure!(mended.code == 1 && mended.kinds() == kinds, "{mended:?}");
    world.arrived("short", 1).await?;
    let again = world.reconcile(&[]).await?;
    ensure!(again.kinds() == [(50, "missing")], "{again:?}");
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_sent_holds_up_no_other_embedded() -> Result<()> {
    a_row_that_cannot_be_sent_holds_up_no_other(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_sent_holds_up_no_other_by_rabbitmq() -> Result<()> {
    a_row_that_cannot_be_sent_holds_up_no_other(World::servers().await?.by_the_broker()).await
}

/// A row of the master that cannot be read is there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_not_deleted() -> Result<()> {
    let world = World::embedded().await?;
    let (relay, worker) = running(&world)?;
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    world
        .stack
        .master
        .execute("update accounts set name = cast(x'636166e9' as text) where id = 3")
        .await?;
    let refused = world.reconcile(&["--repair", "--yes"]).await?;
    ensure!(
        refused.code == 1 && refused.log.contains("not all could be compared"),
        "{refused:?}"
    );
    world.arrived("first", 5).await?;
    worker.terminate().await?;
    relay.terminate().await
}
