//! A master's or a replica's database of a scenario, on either engine.

use std::path::Path;

use anyhow::{Context, Result};
use sqlx::{
    PgPool, Row, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

use crate::postgres::TestDatabase;

/// A database and a pool to look into it with.
#[derive(Debug)]
pub enum Database {
    /// A fresh database on the tests' server, dropped with this value.
    Postgres {
        /// For the test's own statements.
        pool: PgPool,
        /// The database.
        database: TestDatabase,
    },
    /// A file in the scenario's directory.
    Sqlite {
        /// For the test's own statements.
        pool: SqlitePool,
        /// Its URL.
        url: String,
    },
}

impl Database {
    /// A fresh database on the server of `CQRS_TEST_POSTGRES`.
    ///
    /// # Errors
    /// There is no such server.
    pub async fn postgres() -> Result<Self> {
        Self::on(TestDatabase::create().await?).await
    }

    /// A database that exists.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn on(database: TestDatabase) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(24)
            .connect(database.url())
            .await?;
        Ok(Self::Postgres { pool, database })
    }

    /// A fresh file.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn sqlite(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(std::time::Duration::from_secs(30));
        let pool = SqlitePoolOptions::new()
            .max_connections(8)
            .connect_with(options)
            .await?;
        Ok(Self::Sqlite {
            pool,
            url: format!("sqlite://{}", file.display()),
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Postgres { database, .. } => database.url(),
            Self::Sqlite { url, .. } => url,
        }
    }

    /// Runs a statement that both engines understand.
    ///
    /// # Errors
    /// The engine refuses it.
    pub async fn execute(&self, sql: &'static str) -> Result<u64> {
        Ok(match self {
            Self::Postgres { pool, .. } => sqlx::query(sql).execute(pool).await?.rows_affected(),
            Self::Sqlite { pool, .. } => sqlx::query(sql).execute(pool).await?.rows_affected(),
        })
    }

    /// The rows of a query whose columns are all text.
    ///
    /// # Errors
    /// The engine refuses it.
    pub async fn rows(&self, sql: &'static str) -> Result<Vec<Vec<Option<String>>>> {
        fn values<R: Row>(row: &R) -> Result<Vec<Option<String>>>
        where
            usize: sqlx::ColumnIndex<R>,
            for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
        {
            (0..row.len())
                .map(|column| Ok(row.try_get(column)?))
                .collect()
        }
        match self {
            Self::Postgres { pool, .. } => sqlx::query(sql)
                .fetch_all(pool)
                .await?
                .iter()
                .map(values)
                .collect(),
            Self::Sqlite { pool, .. } => sqlx::query(sql)
                .fetch_all(pool)
                .await?
                .iter()
                .map(values)
                .collect(),
        }
    }

    /// The one number that a query answers, as text.
    ///
    /// # Errors
    /// The engine refuses it, or the answer is no number.
    pub async fn number(&self, sql: &'static str) -> Result<i64> {
        let rows = self.rows(sql).await?;
        let value = rows
            .first()
            .and_then(|row| row.first())
            .and_then(Option::as_ref);
        Ok(value.context("no row")?.parse()?)
    }
}
