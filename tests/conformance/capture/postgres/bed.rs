//! A master's database.

use cqrs_outbox::{begin, migrate, source::SourceModel};
use cqrs_tests::postgres::TestDatabase;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Postgres, Row, Transaction,
    postgres::PgPoolOptions,
};

use crate::fixture::{Fixture, Line};

pub(super) struct Bed {
    pub(super) pool: PgPool,
    pub(super) database: TestDatabase,
}

impl Bed {
    /// Without a table.
    pub(super) async fn empty() -> Self {
        Self::over(TestDatabase::create().await.unwrap()).await
    }

    /// Likewise, in a database that is there.
    pub(super) async fn over(database: TestDatabase) -> Self {
        migrate(&database.secret_url()).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(6);
        let pool = pool.connect(database.url()).await.unwrap();
        Self { pool, database }
    }

    /// With tables, one of them captured.
    pub(super) async fn of(tables: &str, model: &SourceModel) -> Self {
        let bed = Self::empty().await;
        bed.script(tables).await;
        bed.install(model).await;
        bed
    }

    /// Several statements.
    pub(super) async fn script(&self, sql: &str) {
        self.pool
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap();
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// What the database says against a script.
    pub(super) async fn refusal(&self, sql: &str) -> String {
        let error = self.pool.execute(AssertSqlSafe(sql.to_owned())).await;
        error.unwrap_err().to_string()
    }
}

impl Fixture for Bed {
    type Tx = Transaction<'static, Postgres>;
    type Connection = PgConnection;

    const TRIGGERS_FOLD: bool = true;

    async fn new() -> Self {
        let bed = Self::empty().await;
        bed.script(
            "create table account (id bigint primary key, name text not null, note text, active boolean)",
        )
        .await;
        bed
    }

    async fn connection(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }

    async fn begin(&self) -> Self::Tx {
        begin(&self.pool).await.unwrap()
    }

    async fn commit(tx: Self::Tx) {
        tx.commit().await.unwrap();
    }

    async fn run(tx: &mut Self::Tx, sql: &str) {
        tx.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn lines(&self) -> Vec<Line> {
        let sql = "select id, signal, instance_pk, queue, revision, forced, traceparent,
                   convert_from(body, 'UTF8') from cqrs_outbox order by id";
        let rows = self.pool.fetch_all(sql).await.unwrap();
        rows.iter()
            .map(|row| Line {
                id: row.get(0),
                signal: row.get(1),
                instance_pk: row.get(2),
                queue: row.get(3),
                revision: row.get(4),
                forced: row.get(5),
                traceparent: row.get(6),
                text: row.get(7),
            })
            .collect()
    }
}

suite!(Bed);
