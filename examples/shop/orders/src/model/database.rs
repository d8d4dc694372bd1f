//! The service's database, whichever it is.

use anyhow::{Context, Result, bail};
use cqrs_outbox::{SecretUrl, begin, record_all};
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

use super::{Product, Tables, catalogue};

/// A pool, and the tables made.
#[derive(Debug, Clone)]
pub enum Database {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Database {
    /// Opens it, and makes what is missing: the outbox's tables, the shop's, and its products.
    pub async fn open(url: &SecretUrl) -> Result<Self> {
        let scheme = url.scheme();
        let database = match scheme.as_str() {
            "postgres" | "postgresql" => {
                cqrs_outbox::migrate(url).await?;
                let pool = PgPoolOptions::new().connect(url.expose()).await;
                let pool = pool.context("opening the database of orders")?;
                sqlx::raw_sql(include_str!("schema/postgres.sql"))
                    .execute(&pool)
                    .await?;
                Self::Postgres(pool)
            }
            "sqlite" => {
                cqrs_outbox::migrate(url).await?;
                let options: SqliteConnectOptions = url.expose().parse()?;
                let options = options
                    .journal_mode(SqliteJournalMode::Wal)
                    .busy_timeout(std::time::Duration::from_secs(10));
                let pool = SqlitePoolOptions::new().connect_with(options).await;
                let pool = pool.context("opening the database of orders")?;
                sqlx::raw_sql(include_str!("schema/sqlite.sql"))
                    .execute(&pool)
                    .await?;
                Self::Sqlite(pool)
            }
            other => bail!("the orders are kept in postgres:// or sqlite://, not in {other}://"),
        };
        database.stock_up().await?;
        Ok(database)
    }

    /// Fills the shelves of a shop that has never sold anything.
    async fn stock_up(&self) -> Result<()> {
        match self {
            Self::Postgres(pool) => {
                let mut tx = begin(pool).await?;
                // Two services that start at once do it one after the other.
                sqlx::query("lock table product in exclusive mode")
                    .execute(&mut *tx)
                    .await?;
                let products = missing(&mut *tx).await?;
                record_all(&mut tx, products.iter().map(cqrs_outbox::Change::saved)).await?;
                tx.commit().await?;
            }
            Self::Sqlite(pool) => {
                let mut tx = begin(pool).await?;
                let products = missing(&mut *tx).await?;
                record_all(&mut tx, products.iter().map(cqrs_outbox::Change::saved)).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }
}

/// Inserts the catalogue where there are no products yet.
async fn missing(tables: &mut impl Tables) -> Result<Vec<Product>> {
    if !tables.products().await?.is_empty() {
        return Ok(Vec::new());
    }
    let products = catalogue::products();
    for product in &products {
        tables.insert_product(product).await?;
    }
    Ok(products)
}
