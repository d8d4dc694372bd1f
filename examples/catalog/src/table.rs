//! The table, and the transactions that change it.

use anyhow::Result;
use cqrs_outbox::{Change, Recorder};
use sqlx::{Connection, PgConnection, types::Json};

use crate::package::Package;

const CREATE: &str = "create table if not exists packages (
    package text collate \"C\", version text collate \"C\", architecture text not null,
    section text, priority text, installed_size bigint, maintainer text, homepage text,
    depends text, description text, primary key (package, version))";

const UPSERT: &str =
    "insert into packages select * from jsonb_populate_recordset(null::packages, $1)
    on conflict (package, version) do update set (architecture, section, priority, installed_size,
        maintainer, homepage, depends, description)
    = (excluded.architecture, excluded.section, excluded.priority, excluded.installed_size,
        excluded.maintainer, excluded.homepage, excluded.depends, excluded.description)";

/// Every n-th package by the hash of its name: the same ones in each run.
const SELECT: &str = "select to_json(p) from packages p
    where (hashtext(package)::bigint + 2147483648) % $1 = 0 order by package, version";

const DELETE: &str = "delete from packages using jsonb_populate_recordset(null::packages, $1) gone
    where (packages.package, packages.version) = (gone.package, gone.version)";

pub(crate) async fn create(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(CREATE).execute(connection).await?;
    Ok(())
}

/// Writes packages and records their new state: both or neither.
pub(crate) async fn save(
    connection: &mut PgConnection,
    recorder: &Recorder,
    packages: &[Package],
) -> Result<()> {
    let mut tx = connection.begin().await?;
    sqlx::query(UPSERT)
        .bind(Json(packages))
        .execute(&mut *tx)
        .await?;
    let changes = packages.iter().map(Change::saved);
    recorder.record_all(&mut tx, changes).await?;
    tx.commit().await?;
    Ok(())
}

/// Marks every n-th package as optional reading; the previous values travel with the event.
pub(crate) async fn update(
    connection: &mut PgConnection,
    recorder: &Recorder,
    every: u32,
    batch: usize,
) -> Result<usize> {
    let before = select(connection, every).await?;
    for before in before.chunks(batch) {
        let after: Vec<_> = before.iter().cloned().map(changed).collect();
        let mut tx = connection.begin().await?;
        let pairs = before.iter().zip(&after);
        recorder.bulk_update(&mut tx, pairs).await?;
        tx.commit().await?;
    }
    Ok(before.len())
}

/// Deletes every n-th package.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    recorder: &Recorder,
    every: u32,
    batch: usize,
) -> Result<usize> {
    let packages = select(connection, every).await?;
    for packages in packages.chunks(batch) {
        let mut tx = connection.begin().await?;
        sqlx::query(DELETE)
            .bind(Json(packages))
            .execute(&mut *tx)
            .await?;
        let changes = packages.iter().map(Change::deleted);
        recorder.record_all(&mut tx, changes).await?;
        tx.commit().await?;
    }
    Ok(packages.len())
}

fn changed(mut package: Package) -> Package {
    package.priority = Some("extra".to_owned());
    package.section = package.section.map(|section| format!("archive/{section}"));
    package.installed_size = package.installed_size.map(|size| size + 1);
    package
}

async fn select(connection: &mut PgConnection, every: u32) -> Result<Vec<Package>> {
    let rows: Vec<Json<Package>> = sqlx::query_scalar(SELECT)
        .bind(i64::from(every))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|Json(package)| package).collect())
}
