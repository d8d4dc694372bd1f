//! Reading from `SQLite`.

use sqlx::{Sqlite, SqlitePool, Transaction, sqlite::SqlitePoolOptions};

use super::QueryStore;
use crate::{StoreError, database::sqlite::classify};

/// Gives query handlers transactions in which `SQLite` refuses writes, each with one snapshot.
#[derive(Debug, Clone)]
pub struct SqliteQueries {
    pool: SqlitePool,
}

impl SqliteQueries {
    /// Reads from the same database as `pool`, through connections of its own, which cannot write
    /// (`PRAGMA query_only`); up to 4 of them, opened when they are needed. It has to be a file: a
    /// database in memory is each connection's own.
    #[must_use]
    pub fn new(pool: &SqlitePool) -> Self {
        let options = pool.connect_options().as_ref().clone();
        let options = options.pragma("query_only", "ON");
        Self {
            pool: SqlitePoolOptions::new()
                .max_connections(4)
                .connect_lazy_with(options),
        }
    }
}

impl QueryStore for SqliteQueries {
    type Transaction = Transaction<'static, Sqlite>;

    async fn begin(&self) -> Result<Self::Transaction, StoreError> {
        self.pool.begin().await.map_err(classify)
    }

    async fn end(&self, transaction: Self::Transaction) -> Result<(), StoreError> {
        transaction.commit().await.map_err(classify)
    }
}
