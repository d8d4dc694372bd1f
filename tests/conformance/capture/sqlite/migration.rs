//! The migration of an outbox that is in use.

use cqrs_core::SecretUrl;
use cqrs_core::{Slot, database::sqlite::SqliteConfig};
use cqrs_outbox::{OutboxSession, OutboxStore, Position, migrate, sqlite::SqliteStore};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

#[tokio::test]
async fn a_filled_outbox_keeps_its_rows_and_its_ids() {
    let directory = TempDir::new().unwrap();
    let url = SecretUrl::new(format!("sqlite://{}/master.db", directory.path().display()));
    migrate(&url).await.unwrap();
    let mut connection = SqliteConnection::connect(url.expose()).await.unwrap();
    // Back to what the second migration left.
    connection
        .execute(
            "drop view cqrs_record; drop view cqrs_record_checked; drop view cqrs_captured;
             drop view cqrs_captured_judged; drop table cqrs_capture;
             drop table cqrs_capture_replaced; drop table cqrs_outbox; drop table cqrs_outbox_dead;
             drop table cqrs_revision; drop table cqrs_relay; drop table cqrs_relay_lease;
             drop table cqrs_outbox_migrations",
        )
        .await
        .unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite/outbox/");
    for file in ["0001_outbox.sql", "0002_transactions.sql"] {
        let sql = std::fs::read_to_string(format!("{root}{file}")).unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
    for id in [3, 5, 90] {
        sqlx::query(
            "insert into cqrs_outbox (id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision,
                 body, traceparent, created_at, expires_at, attempts, next_attempt_at, last_error, forced)
             values (?1, '01a217b7-ecd7-7dfe-ba67-da5adb4890ee', 9, 'account', ?1, 'SYNC', 'q', 7, '{\"x\":1}',
                 't', 1, 2, iif(?1 = 5, 3, 0), iif(?1 = 5, 4, null), 'e', ?1 = 3)",
        )
        .bind(id)
        .execute(&mut connection)
        .await
        .unwrap();
    }
    connection
        .execute("delete from cqrs_outbox where id = 90")
        .await
        .unwrap();
    let everything = "select group_concat(concat_ws('|', id, message_id, slot, cqrs_id, instance_pk, signal, queue,
             revision, body, traceparent, created_at, expires_at, attempts, coalesce(next_attempt_at, '-'),
             last_error, forced) order by id) from cqrs_outbox";
    let before: String = sqlx::query_scalar(everything)
        .fetch_one(&mut connection)
        .await
        .unwrap();

    let sql = std::fs::read_to_string(format!("{root}0003_capture.sql")).unwrap();
    connection.execute("begin").await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.execute("commit").await.unwrap();
    let after: String = sqlx::query_scalar(everything)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(after, before);
    let sql = std::fs::read_to_string(format!("{root}0006_dead_rows.sql")).unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection
        .execute("insert into cqrs_record (cqrs_id, key, data) values ('account', 1, '{}')")
        .await
        .unwrap();
    let newest: i64 = sqlx::query_scalar("select max(id) from cqrs_outbox")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(newest, 91, "an id was given again");

    // With the later ones, the shape is that of a fresh one.
    for name in ["0007_publishing.sql", "0008_capture_refusals.sql"] {
        let sql = std::fs::read_to_string(format!("{root}{name}")).unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
    let shape = "select group_concat(sql, ';' order by name) from sqlite_schema
         where tbl_name not like '%migrations' and sql is not null";
    let migrated: String = sqlx::query_scalar(shape)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let other = SecretUrl::new(format!("sqlite://{}/other.db", directory.path().display()));
    migrate(&other).await.unwrap();
    let mut fresh = SqliteConnection::connect(other.expose()).await.unwrap();
    let expected: String = sqlx::query_scalar(shape)
        .fetch_one(&mut fresh)
        .await
        .unwrap();
    assert_eq!(migrated, expected);

    let mut session = SqliteStore::new(SqliteConfig::new(other))
        .session()
        .await
        .unwrap();
    let slots: Vec<Slot> = Slot::all().collect();
    let fetched = session.fetch(&slots, &Position::START, 10).await.unwrap();
    assert!(fetched.rows.is_empty());
}
