//! A worker that cannot reach its database, while others can or nobody can.

use std::fs::{read_to_string, write};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    process::Process,
    wait::{Seen, until},
};

use crate::world::{PATIENCE, World};

const GIVEN_BACK: &str = "this worker gives its messages back to the queue";

/// Waits until a process has said this so many times.
async fn says(process: &Process, text: &str, times: usize) -> Result<()> {
    until("the worker says it", PATIENCE, async || {
        let log = process.log();
        Ok(if log.matches(text).count() >= times {
            Seen::Yes
        } else {
            Seen::NotYet(log)
        })
    })
    .await
}

/// `SQLite`: whoever holds the file's lock holds up everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_locked_file_gives_its_messages_back() -> Result<()> {
    let world = World::embedded().await?;
    let (relay, worker) = (world.relay()?, world.worker()?);
    world.save(1..=5, "first").await?;
    world.arrived("first", 5).await?;
    let Database::Sqlite { pool, .. } = &world.stack.replica else {
        anyhow::bail!("a file was asked for");
    };
    let lock = pool.begin_with("begin immediate").await?;
    world.save(1..=5, "second").await?;
    says(&worker, GIVEN_BACK, 1).await?;
    let said = world.reconcile(&["--patience", "1s"]).await?;
    said.expect_well()?;
    lock.rollback().await?;
    world.arrived("second", 5).await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(
        said.report["late"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty),
        "{said:?}"
    );
    worker.terminate().await?;
    relay.terminate().await
}

#[cfg(feature = "servers")]
mod servers {
    use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

    use super::*;

    /// A login of the replica's database that can be taken away from a worker.
    struct Login {
        name: String,
        admin: PgConnection,
    }

    impl Login {
        async fn create(replica: &Database) -> Result<(Self, String)> {
            let name = format!("cqrs_test_{:016x}", fastrand::u64(..));
            let admin = PgConnection::connect(replica.url()).await?;
            let mut login = Self { name, admin };
            let name = login.name.clone();
            login
                .run(&format!("create role {name} login password 'secret'"))
                .await?;
            login
                .run(&format!(
                    "grant all on all tables in schema public to {name}"
                ))
                .await?;
            login
                .run(&format!(
                    "grant all on all sequences in schema public to {name}"
                ))
                .await?;
            let (_, host) = replica.url().rsplit_once('@').context("a login")?;
            Ok((login, format!("postgres://{name}:secret@{host}")))
        }

        async fn run(&mut self, sql: &str) -> Result<()> {
            self.admin.execute(AssertSqlSafe(sql.to_owned())).await?;
            Ok(())
        }

        async fn take_away(&mut self) -> Result<()> {
            let name = self.name.clone();
            self.run(&format!("alter role {name} nologin")).await?;
            self.run(&format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{name}'"
            ))
            .await
        }

        async fn give(&mut self) -> Result<()> {
            let name = self.name.clone();
            self.run(&format!("alter role {name} login")).await
        }

        async fn drop(mut self) -> Result<()> {
            let name = self.name.clone();
            self.run(&format!("drop owned by {name}")).await?;
            self.run(&format!("drop role {name}")).await
        }
    }

    async fn others_get_what_a_worker_without_its_database_has(world: World) -> Result<()> {
        let (mut login, url) = Login::create(&world.stack.replica).await?;
        let relay = world.relay()?;
        let right = read_to_string(world.stack.config())?;
        write(
            world.stack.config(),
            right.replace(world.stack.replica.url(), &url),
        )?;
        let sick = world.stack.start("cqrs-replica", "sick")?;
        says(&sick, "consuming", 1).await?;
        write(world.stack.config(), right)?;
        world.save(1..=50, "first").await?;
        world.arrived("first", 50).await?;
        let healthy = world.stack.start("cqrs-replica", "healthy")?;
        says(&healthy, "consuming", 1).await?;

        login.take_away().await?;
        world.save(1..=50, "second").await?;
        world.arrived("second", 50).await?;
        says(&sick, GIVEN_BACK, 1).await?;
        // It takes none either.
        world.save(1..=50, "third").await?;
        world.arrived("third", 50).await?;
        let said = world.reconcile(&["--patience", "1s"]).await?;
        said.expect_well()?;
        ensure!(
            sick.log().matches("consuming").count() == 1,
            "{}",
            sick.log()
        );

        login.give().await?;
        says(&sick, "consuming", 2).await?;
        healthy.terminate().await?;
        world.save(1..=50, "fourth").await?;
        world.arrived("fourth", 50).await?;
        sick.terminate().await?;
        relay.terminate().await?;
        login.drop().await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn others_get_what_a_worker_without_its_database_has_from_rabbitmq() -> Result<()> {
        others_get_what_a_worker_without_its_database_has(World::servers().await?).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn others_get_what_a_worker_without_its_database_has_from_a_quorum_queue() -> Result<()> {
        let mut world = World::servers().await?;
        let quorum = ("CQRS_BROKER_QUEUE_TYPE".to_owned(), "quorum".to_owned());
        world.stack.environment.push(quorum);
        others_get_what_a_worker_without_its_database_has(world).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn others_get_what_a_worker_without_its_database_has_from_the_embedded_broker()
    -> Result<()> {
        let directory = tempfile::tempdir()?;
        let world = World::to_postgres(directory.path()).await?;
        others_get_what_a_worker_without_its_database_has(world).await
    }
}
