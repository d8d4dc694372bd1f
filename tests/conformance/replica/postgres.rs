//! The replica in PostgreSQL.

use cqrs_core::{CqrsId, QueueName, StoreError, database::postgres::PostgresConfig};
use cqrs_replica::{
    Freshness,
    postgres::{PostgresReplica, migrate, statements},
};
use cqrs_tests::postgres::TestDatabase;
use sqlx::{
    AssertSqlSafe, Executor, PgConnection, PgPool, Row, SqlSafeStr, postgres::PgPoolOptions,
};

use super::fixture::Fixture;

mod blocked;
mod encodings;
mod kinds;
mod paused;
mod plans;
mod references;
mod sessions;
mod timeouts;

/// A database on the tests' server.
pub(super) struct Database {
    database: TestDatabase,
    pool: PgPool,
}

impl Database {
    fn config(&self) -> PostgresConfig {
        PostgresConfig::new(self.database.secret_url(), "cqrs-tests")
    }
}

fn dialect(sql: &str) -> String {
    sql.replace("{decimal}", "numeric(40, 10)")
        .replace("{wide}", "numeric")
        .replace("{bigint}", "bigint")
        .replace("{float}", "double precision")
        .replace("{boolean}", "boolean")
        .replace("{json_text}", "json")
        .replace("{date}", "date")
        .replace("{time}", "time")
        .replace("{moment}", "timestamptz")
        .replace("{bytes}", "bytea")
        .replace("{interval}", "interval")
        .replace("{uuid}", "uuid")
        .replace(
            "{serial}",
            "bigint generated always as identity primary key",
        )
        .replace("{strict}", "")
}

impl Fixture for Database {
    type Store = PostgresReplica;
    const TRUE: &'static str = "true";
    const NAN: &'static str = "NaN";
    const MOMENTS: [&'static str; 2] = ["2026-01-02 03:04:05.678901"; 2];
    const MOMENT: &'static str = "select (v at time zone 'UTC')::text from val";
    const HI: &'static str = "\\x6869";
    const LENGTH: &'static str = "1 day 02:03:04.5";
    const NEGATIVE_LENGTH: &'static str = "-1 days -02:00:00";
    const CASELESS: (&'static str, &'static str) = ("create extension citext", "citext");

    fn pass_over(table: &str, write: &str) -> String {
        format!(
            "create or replace function pass_over() returns trigger language plpgsql
             as $$ begin return null; end $$;
             create trigger pass_over_{write} before {write} on {table} for each row
             execute function pass_over();"
        )
    }

    async fn new() -> Self {
        let database = Self::empty().await;
        database.migrate().await.unwrap();
        database
    }

    async fn empty() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect(database.url())
            .await
            .unwrap();
        Self { database, pool }
    }

    fn store(&self) -> PostgresReplica {
        PostgresReplica::new(self.config())
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        migrate(&self.config()).await
    }

    async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        self.pool
            .execute(AssertSqlSafe(dialect(sql)).into_sql_str())
            .await
            .map(drop)
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&self.pool)
            .await
            .unwrap();
        let text = |row: &sqlx::postgres::PgRow| {
            let cells: Vec<String> = (0..row.len())
                .map(|at| {
                    row.get::<Option<String>, _>(at)
                        .unwrap_or_else(|| "-".to_owned())
                })
                .collect();
            cells.join("|")
        };
        rows.iter().map(text).collect()
    }

    async fn inside(tx: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
        tx.execute(AssertSqlSafe(sql).into_sql_str())
            .await
            .map(drop)
    }

    async fn circle(&self, rules: &str) {
        for sql in [
            "create table hen (id integer primary key, egg integer not null)".to_owned(),
            format!(
                "create table egg (id integer primary key,
                 hen integer not null references hen (id) {rules})"
            ),
            format!("alter table hen add foreign key (egg) references egg (id) {rules}"),
        ] {
            self.execute(&sql).await;
        }
    }

    fn freshness(&self, queue: QueueName, kept: Vec<CqrsId>) -> Freshness {
        Freshness::postgres(self.pool.clone(), queue, kept)
    }

    fn statements() -> &'static [(&'static str, &'static str)] {
        statements()
    }

    async fn prepare(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        (&mut *connection)
            .prepare(sql.into_sql_str())
            .await
            .map(drop)
    }
}

suite!(Database);
