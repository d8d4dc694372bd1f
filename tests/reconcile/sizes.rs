//! Equal tables exchange sums only, and one row that differs costs its range.

use anyhow::{Result, ensure};
use cqrs_tests::database::Database;

use crate::world::World;

const ROWS: i64 = 100_000;

async fn fill(world: &World) -> Result<()> {
    let (master, replica) = (&world.stack.master, &world.stack.replica);
    let (accounts, revisions) = match master {
        Database::Postgres { .. } => (
            "insert into accounts select i, 'name ' || i, i / 8.0, '2026-11-21T01:02:03Z', 'active' \
             from generate_series(1, 100000) as i",
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted) \
             select 'account', id::text, 0, created, false from accounts where id <= 100000",
        ),
        Database::Sqlite { .. } => (
            "insert into accounts with recursive s(i) as (select 1 union all select i + 1 from s \
             where i < 100000) select i, 'name ' || i, i / 8.0, '2026-11-21T01:02:03+00:00', 'active' from s",
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted) \
             select 'account', cast(id as text), 0, 1795223723000000, 0 from accounts where id <= 100000",
        ),
    };
    ensure!(master.execute(accounts).await? == ROWS.unsigned_abs());
    master.execute(revisions).await?;
    // The other engine's rows, when there are two.
    let copies = match replica {
        Database::Postgres { .. } => {
            "insert into account_copy select i, 'name ' || i, round(i / 8.0, 2), '2026-11-21T01:02:03Z' \
             from generate_series(1, 100000) as i"
        }
        Database::Sqlite { .. } => {
            "insert into account_copy with recursive s(i) as (select 1 union all select i + 1 from s \
             where i < 100000) select i, 'name ' || i, i / 8.0, '2026-11-21T01:02:03+00:00', null from s"
        }
    };
    replica.execute(copies).await?;
    Ok(())
}

/// What a worker would know of the rows.
async fn know(world: &World) -> Result<()> {
    let replica = &world.stack.replica;
    let sql = match replica {
        Database::Postgres { .. } => {
            "insert into cqrs_replica_state (queue, cqrs_id, instance_pk, revision, updated, counted) \
             select $1, 'account', id::text, 0, created, true from account_copy where id <= 100000"
        }
        Database::Sqlite { .. } => {
            "insert into cqrs_replica_state (queue, cqrs_id, instance_pk, revision, updated, counted, applied_at) \
             select ?1, 'account', cast(id as text), 0, 1795223723000000, 1, 1795223723000000 from account_copy where id <= 100000"
        }
    };
    match replica {
        Database::Postgres { pool, .. } => {
            sqlx::query(sql)
                .bind(&world.stack.queue)
                .execute(pool)
                .await?;
        }
        Database::Sqlite { pool, .. } => {
            sqlx::query(sql)
                .bind(&world.stack.queue)
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}

async fn equal_tables_exchange_sums_only(world: World) -> Result<()> {
    let (relay, worker) = (world.relay()?, world.worker()?);
    world.save([ROWS + 1], "first").await?;
    world.arrived("first", 1).await?;
    fill(&world).await?;
    know(&world).await?;
    let whole = "update accounts set balance = 5";
    world.stack.master.execute(whole).await?;
    world
        .stack
        .replica
        .execute("update account_copy set balance = 5")
        .await?;
    let said = world.reconcile(&[]).await?;
    said.expect_well()?;
    ensure!(said.report["rows"] == ROWS + 1, "{said:?}");
    ensure!(said.report["ranges_differing"] == 0, "{said:?}");
    ensure!(said.report["rows_exchanged"] == 0, "{said:?}");

    world
        .stack
        .replica
        .execute("update account_copy set full_name = 'x' where id = 77777")
        .await?;
    let said = world.reconcile(&[]).await?;
    ensure!(said.kinds() == [(77_777, "content")], "{said:?}");
    ensure!(said.report["ranges_differing"] == 1, "{said:?}");
    let exchanged = said.report["rows_exchanged"].as_i64();
    ensure!(
        exchanged.is_some_and(|rows| (1..600).contains(&rows)),
        "{said:?}"
    );
    worker.terminate().await?;
    relay.terminate().await
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_tables_exchange_sums_only_embedded() -> Result<()> {
    equal_tables_exchange_sums_only(World::embedded().await?).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread")]
async fn equal_tables_exchange_sums_only_on_servers() -> Result<()> {
    equal_tables_exchange_sums_only(World::servers().await?).await
}
