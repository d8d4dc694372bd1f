//! What has been published must not have never been: commits that a crash takes back.

use anyhow::{Result, ensure};
use cqrs_core::{Slot, database::postgres::PostgresConfig};
use cqrs_outbox::{OutboxSession, OutboxStore, Position, postgres::PostgresStore};
use cqrs_tests::{postgres::TestDatabase, services::Service};
use sqlx::{Connection, Executor, PgConnection};

const RECORD: &str = "select cqrs_record('account', to_json(n), json_build_object('id', n))
    from (select count(*) + 1 as n from cqrs_outbox) as next";

/// With `synchronous_commit = off` a commit is visible long before it is on the disk.
#[tokio::test]
async fn only_what_a_crash_leaves_is_published() -> Result<()> {
    let server = Service::postgres("asynchronous").await?;
    let database = TestDatabase::create_on(server.url().to_owned()).await?;
    cqrs_outbox::migrate(&database.secret_url()).await?;
    let mut connection = PgConnection::connect(database.url()).await?;
    for setting in [
        "alter system set wal_writer_delay = '10s'",
        "select pg_reload_conf()",
        "do $$ begin
            execute format('alter database %I set synchronous_commit = off', current_database());
        end $$",
    ] {
        connection.execute(setting).await?;
    }
    connection.close().await?;

    let store = PostgresStore::new(PostgresConfig::new(database.secret_url(), "cqrs-tests"));
    let slots: Vec<_> = Slot::all().collect();
    let mut session = store.session().await?;
    let mut writer = PgConnection::connect(database.url()).await?;
    // The first commits may still wake the one who writes the log.
    let held_back = "select pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()";
    loop {
        writer.execute(RECORD).await?;
        if sqlx::query_scalar(held_back).fetch_one(&mut writer).await? {
            break;
        }
    }
    let fetched = session.fetch(&slots, &Position::START, 500).await?;
    let count = "select count(*) from cqrs_outbox";
    let visible: i64 = sqlx::query_scalar(count).fetch_one(&mut writer).await?;
    ensure!(
        i64::try_from(fetched.rows.len())? == visible,
        "{visible} rows"
    );
    server.kill().await?;
    server.start().await?;

    let mut reader = PgConnection::connect(database.url()).await?;
    let left: i64 = sqlx::query_scalar(count).fetch_one(&mut reader).await?;
    ensure!(
        left == visible,
        "{left} of {visible} rows outlived the crash"
    );

    // A session that a proxy has kept over it begins again.
    let mut session = store.session().await?;
    let again = session.fetch(&slots, &fetched.position, 500).await?;
    ensure!(again.position == Position::START && again.more);
    let again = session.fetch(&slots, &again.position, 500).await?;
    ensure!(i64::try_from(again.rows.len())? == visible);
    Ok(())
}
