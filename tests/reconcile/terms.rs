//! Values are compared as the replica's columns hold them.

use anyhow::{Result, ensure};
use cqrs_tests::database::Database;
use serde_json::json;

use crate::world::{World, save};

async fn what_the_types_of_columns_change_is_no_difference(world: World) -> Result<()> {
    let (relay, worker) = (world.relay()?, world.worker()?);
    save(&world.stack.master, 1, "rounded", 1.2345).await?;
    save(&world.stack.master, 2, "exact", 1.5).await?;
    world.arrived("rounded", 1).await?;
    world.arrived("exact", 1).await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    let rounds = matches!(world.stack.replica, Database::Postgres { .. });
    ensure!((said.report["ranges_differing"] == 1) == rounds, "{said:?}");

    // Columns of the replica's own do not count, a value that is really another does.
    let replica = &world.stack.replica;
    replica
        .execute("update account_copy set ours = 'mine'")
        .await?;
    world.reconcile(&[]).await?.expect_well()?;
    replica
        .execute("update account_copy set balance = 1.25 where id = 1")
        .await?;
    let said = world.reconcile(&["--repair"]).await?;
    ensure!(
        said.code == 0 && said.kinds() == [(1, "content")],
        "{said:?}"
    );
    let ours = replica.rows("select ours from account_copy").await?;
    ensure!(
        ours.iter().all(|row| row[0].as_deref() == Some("mine")),
        "{ours:?}"
    );
    worker.terminate().await?;
    relay.terminate().await
}

/// "Equal" would read as if the whole table were.
async fn a_field_that_the_master_does_not_publish_is_named(world: World) -> Result<()> {
    let (relay, worker) = (world.relay()?, world.worker()?);
    save(&world.stack.master, 1, "first", 1.5).await?;
    world.arrived("first", 1).await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(said.report["not_compared"] == json!([]), "{said:?}");
    let toml = std::fs::read_to_string(world.stack.config())?;
    let named = toml.replace(
        "created = \"created\" }",
        "created = \"created\", nobody = \"ours\" }",
    );
    std::fs::write(world.stack.config(), &named)?;
    let said = world.reconcile(&[]).await?;
    ensure!(
        said.code == 1 && said.report["not_published"] == json!(["nobody"]),
        "{said:?}"
    );
    let words = "`columns` of account names nobody, which the master does not publish";
    ensure!(said.log.contains(words), "{said:?}");
    std::fs::write(world.stack.config(), named + "optional = \"nobody\"\n")?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(said.report["not_compared"] == json!(["nobody"]), "{said:?}");
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_master_does_not_publish_is_named_embedded() -> Result<()> {
    a_field_that_the_master_does_not_publish_is_named(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_master_does_not_publish_is_named_by_rabbitmq() -> Result<()> {
    let world = World::servers().await?.by_the_broker();
    a_field_that_the_master_does_not_publish_is_named(world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_types_of_columns_change_is_no_difference_embedded() -> Result<()> {
    what_the_types_of_columns_change_is_no_difference(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_types_of_columns_change_is_no_difference_on_servers() -> Result<()> {
    what_the_types_of_columns_change_is_no_difference(World::servers().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_types_of_columns_change_is_no_difference_from_sqlite_to_postgres() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let world = World::to_postgres(directory.path()).await?;
    what_the_types_of_columns_change_is_no_difference(world).await
}
