use std::time::Duration;

use cqrs_core::SecretUrl;
use cqrs_outbox::{
    Change, Master, Problem, RecordError, begin, bulk_create, migrate, record,
    sqlite::RecordingTransaction,
};
use serde_json::value::RawValue;
use sqlx::{
    AssertSqlSafe, Connection, Executor, Row, SqlSafeStr, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow},
};
use tempfile::TempDir;

use super::fixture::{Account, Fixture, Line, drop_after_polls};

struct SqliteFixture {
    pool: SqlitePool,
    directory: TempDir,
}

impl SqliteFixture {
    fn options(&self) -> SqliteConnectOptions {
        options(&self.directory)
    }
}

fn options(directory: &TempDir) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory.path().join("master.db"))
        .busy_timeout(Duration::from_secs(30))
}

fn url(directory: &TempDir) -> SecretUrl {
    SecretUrl::new(format!("sqlite://{}/master.db", directory.path().display()))
}

impl Fixture for SqliteFixture {
    type Tx = RecordingTransaction<'static>;
    type Connection = SqliteConnection;

    const STATEMENTS: &'static str = "sqlite/sql";
    const UNSENT: Option<(i64, bool)> = None;
    const DECIMAL: &'static str = "text";
    const BYTES: &'static str = "blob";
    const INTERVAL: &'static str = "text";
    const HEX: &'static str = "lower(hex(photo))";
    // It keeps the text.
    const SECONDS: &'static str = "case open when 'P1DT01H01M01S' then 90061 end";
    const JOIN: &'static str = "group_concat";

    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        migrate(&url(&directory)).await.unwrap();
        let pool = SqlitePoolOptions::new().max_connections(5);
        let pool = pool.connect_with(options(&directory)).await.unwrap();
        pool.execute("create table account (id integer primary key, name text not null)")
            .await
            .unwrap();
        Self { pool, directory }
    }

    fn url(&self) -> SecretUrl {
        url(&self.directory)
    }

    async fn begin(&self) -> Self::Tx {
        begin(&self.pool).await.unwrap()
    }

    async fn cancel_begin_and_insert(&self, polls: usize) {
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(self.options()).await.unwrap();
        drop_after_polls(begin(&pool), polls).await;
        pool.execute("insert into account (id, name) values (1, 'x')")
            .await
            .unwrap();
        pool.close().await;
    }

    async fn commit(tx: Self::Tx) {
        tx.commit().await.unwrap();
    }

    async fn rollback(tx: Self::Tx) {
        tx.rollback().await.unwrap();
    }

    async fn connection(&self) -> SqliteConnection {
        SqliteConnection::connect_with(&self.options())
            .await
            .unwrap()
    }

    async fn execute(tx: &mut Self::Tx, sql: &str) {
        tx.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn text(tx: &mut Self::Tx, sql: &str) -> Option<String> {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_optional(&mut **tx)
            .await
            .unwrap()
    }

    fn portable(sql: &str) -> String {
        sql.to_owned()
    }

    async fn prepare(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        self.pool.prepare(sql).await.map(drop)
    }

    async fn key(&self, _: &str, key: &RawValue) -> (String, Option<u16>) {
        let sql = match key.get().as_bytes()[0] {
            b'[' => "select json_group_array(value) from json_each(?1)",
            b'"' => "select ?1 ->> '$'",
            _ if key.get().parse::<i64>().is_ok() => "select cast(cast(?1 as integer) as text)",
            // Beyond SQLite's integers it must be text in the table already.
            _ => "select ?1",
        };
        let canonical = sqlx::query_scalar(sql)
            .bind(key.get())
            .fetch_one(&self.pool)
            .await
            .unwrap();
        // SQLite has no hash function: its triggers leave the slot to the relay.
        (canonical, None)
    }

    async fn outbox(&self) -> Vec<Line> {
        let sql = "select id, message_id, slot, instance_pk, signal, queue, revision, body,
                          traceparent, (expires_at - created_at) / 1e6, forced
                   from cqrs_outbox order by id";
        let rows = self.pool.fetch_all(sql).await.unwrap();
        rows.iter().map(line).collect()
    }

    async fn revision(&self, instance_pk: &str) -> Option<(i64, bool)> {
        sqlx::query_as(
            "select revision, deleted from cqrs_revision where cqrs_id = 'account'
             and instance_pk = ?1",
        )
        .bind(instance_pk)
        .fetch_optional(&self.pool)
        .await
        .unwrap()
    }

    async fn set_updated(&self, instance_pk: &str, micros: i64) {
        sqlx::query("update cqrs_revision set updated = ?2 where instance_pk = ?1")
            .bind(instance_pk)
            .bind(micros)
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

fn line(row: &SqliteRow) -> Line {
    Line {
        id: row.get(0),
        message_id: row.get::<String, _>(1).parse().unwrap(),
        slot: row.get(2),
        instance_pk: row.get(3),
        signal: row.get(4),
        queue: row.get(5),
        revision: row.get(6),
        body: row.get::<String, _>(7).into(),
        traceparent: row.get(8),
        life: row.get(9),
        forced: row.get(10),
    }
}

suite!(SqliteFixture);

/// SQLite ends a transaction by itself when the disk is full, sqlx goes on believing in it, and a
/// record would commit at once by itself.
#[tokio::test]
async fn a_transaction_that_a_full_disk_has_ended_is_noticed() {
    let db = SqliteFixture::new().await;
    let mut connection = db.connection().await;
    connection
        .execute("pragma max_page_count = 60")
        .await
        .unwrap();
    let mut tx = begin(&mut connection).await.unwrap();
    tx.execute("insert into account (id, name) values (1, 'x')")
        .await
        .unwrap();
    let full = tx
        .execute("insert into account (id, name) values (2, hex(zeroblob(1000000)))")
        .await;
    assert!(full.unwrap_err().to_string().contains("full"));
    let error = record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap_err();
    assert!(matches!(error, RecordError::NotInTransaction), "{error:?}");
    let _ = tx.commit().await;
    assert!(db.outbox().await.is_empty());
}

/// A failure in the middle takes back what the call had written, although the transaction lives on.
#[tokio::test]
async fn a_record_that_fails_half_way_leaves_nothing() {
    let db = SqliteFixture::new().await;
    let mut tx = db.begin().await;
    SqliteFixture::execute(
        &mut tx,
        "create trigger refuse before insert on cqrs_outbox when new.instance_pk = '2'
         begin select raise(abort, 'no'); end",
    )
    .await;
    let changes = [1, 2].map(|id| Change::saved(&Account::new(id)));
    cqrs_outbox::record_all(&mut tx, changes).await.unwrap_err();
    let recorded = record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap();
    assert_eq!(super::fixture::revision(recorded), 0);
    SqliteFixture::commit(tx).await;
    assert_eq!(db.outbox().await.len(), 1);
    assert_eq!(db.revision("2").await, None);
}

/// A deferred transaction that has read and then records fails at once if someone wrote in between,
/// and says that it may be run again.
#[tokio::test]
async fn a_stale_deferred_transaction_is_a_conflict() {
    let db = SqliteFixture::new().await;
    let mut tx = db.pool.begin().await.unwrap();
    let read = tx.fetch_all("select count(*) from account").await;
    assert_eq!(read.unwrap().len(), 1);
    db.record(Change::saved(&Account::new(1))).await;
    let error = record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(Account::CQRS_ID, "account");
}

/// Only what `begin` opened knows its own events: in any other transaction, on the same connection of
/// the pool too, each change is an event of its own.
#[tokio::test]
async fn other_transactions_do_not_coalesce() {
    let db = SqliteFixture::new().await;
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(db.options()).await.unwrap();
    let mut tx = begin(&pool).await.unwrap();
    let change = || Change::saved(&Account::new(1));
    record(&mut tx, change()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    record(&mut tx, change()).await.unwrap();
    record(&mut tx, change()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = begin(&pool).await.unwrap();
    record(&mut tx, change()).await.unwrap();
    let mut nested = tx.begin().await.unwrap();
    record(&mut nested, change()).await.unwrap();
    nested.commit().await.unwrap();
    record(&mut tx, change()).await.unwrap();
    tx.commit().await.unwrap();
    let revisions: Vec<_> = db.outbox().await.iter().map(|line| line.revision).collect();
    // The last one found that of the nested transaction, and took its place.
    assert_eq!(revisions, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_helper_that_takes_the_connection_can_record() {
    async fn helper(connection: &mut SqliteConnection) {
        record(connection, Change::saved(&Account::new(1)))
            .await
            .unwrap();
    }
    let db = SqliteFixture::new().await;
    let mut tx = db.begin().await;
    helper(&mut tx).await;
    record(&mut *tx, Change::saved(&Account::new(2)))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.outbox().await.len(), 2);
}

/// In JSON it would become a float.
#[tokio::test]
async fn an_integer_that_would_be_rounded_is_refused() {
    #[derive(Master)]
    #[master(cqrs_id = "wide", table = "main.account")]
    struct Wide {
        #[master(key)]
        id: i64,
        name: u64,
    }
    let db = SqliteFixture::new().await;
    let mut tx = db.begin().await;
    let fits = Wide {
        id: -1,
        name: u64::from(u32::MAX),
    };
    bulk_create(&mut tx, &[fits]).await.unwrap();
    let wide = Wide {
        id: 2,
        name: u64::MAX,
    };
    let error = bulk_create(&mut tx, &[wide]).await.unwrap_err();
    assert!(matches!(
        error,
        RecordError::Invalid { problem: Problem::TooWide { column }, .. } if column == "name"
    ));
}
