//! The service's own database, whichever it is.

use anyhow::{Context, Result, bail};
use cqrs_core::SecretUrl;
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

/// A pool, and the tables made.
#[derive(Debug, Clone)]
pub enum Database {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Database {
    /// Opens it, and makes what is missing: the worker's tables and the reports'.
    pub async fn open(url: &SecretUrl) -> Result<Self> {
        let opening = "opening the database of the reports";
        let schema = include_str!("schema.sql");
        match url.scheme().as_str() {
            "postgres" | "postgresql" => {
                cqrs_replica::migrate(url).await?;
                let pool = PgPoolOptions::new().connect(url.expose()).await;
                let pool = pool.context(opening)?;
                sqlx::raw_sql(schema).execute(&pool).await?;
                Ok(Self::Postgres(pool))
            }
            "sqlite" => {
                cqrs_replica::migrate(url).await?;
                let options: SqliteConnectOptions = url.expose().parse()?;
                let options = options
                    .journal_mode(SqliteJournalMode::Wal)
                    .busy_timeout(std::time::Duration::from_secs(10));
                let pool = SqlitePoolOptions::new().connect_with(options).await;
                let pool = pool.context(opening)?;
                sqlx::raw_sql(schema).execute(&pool).await?;
                Ok(Self::Sqlite(pool))
            }
            other => bail!("the reports are kept in postgres:// or sqlite://, not in {other}://"),
        }
    }
}
