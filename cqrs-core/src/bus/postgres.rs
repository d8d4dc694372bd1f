//! Reading from `PostgreSQL`.

use sqlx::{PgPool, Postgres, Transaction};

use super::QueryStore;
use crate::{
    StoreError,
    database::postgres::{begin, classify},
};

/// Gives query handlers transactions in which the server refuses writes, each with one snapshot.
#[derive(Debug, Clone)]
pub struct PostgresQueries {
    pool: PgPool,
}

impl PostgresQueries {
    /// Reads through this pool.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

impl QueryStore for PostgresQueries {
    type Transaction = Transaction<'static, Postgres>;

    async fn begin(&self) -> Result<Self::Transaction, StoreError> {
        begin(&self.pool, READ_ONLY).await
    }

    async fn end(&self, transaction: Self::Transaction) -> Result<(), StoreError> {
        transaction.commit().await.map_err(classify)
    }
}

const READ_ONLY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
