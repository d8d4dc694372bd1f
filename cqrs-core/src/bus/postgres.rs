//! Reading from `PostgreSQL`.

use sqlx::{PgPool, Postgres, Transaction};

use super::QueryStore;
use crate::{StoreError, database::postgres::classify};

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
        let pool = self.pool.clone();
        // sqlx 0.9 gives a connection whose `begin` was cancelled back to its pool inside the
        // transaction. Dropping the handle does not stop the task, which then rolls back.
        #[expect(
            clippy::disallowed_methods,
            reason = "the caller's cancellation must not cut it"
        )]
        let begun = tokio::spawn(async move { pool.begin_with(READ_ONLY).await });
        match begun.await {
            Ok(begun) => begun.map_err(classify),
            Err(stopped) => Err(StoreError::Unavailable(stopped.into())),
        }
    }

    async fn end(&self, transaction: Self::Transaction) -> Result<(), StoreError> {
        transaction.commit().await.map_err(classify)
    }
}

const READ_ONLY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
