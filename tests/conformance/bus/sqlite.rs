//! The buses on `SQLite`.

use std::time::Duration;

use cqrs_core::{SecretUrl, StoreError, bus::sqlite::SqliteQueries};
use cqrs_outbox::sqlite::{RecordingTransaction, SqliteCommands};
use cqrs_tests::database::Database;
use sqlx::{SqliteConnection, SqlitePool};
use tempfile::TempDir;

use crate::bed::{Bed, PURSE, Statements};

pub(crate) struct SqliteBed {
    database: Database,
    _directory: TempDir,
}

impl SqliteBed {
    fn pool(&self) -> &SqlitePool {
        match &self.database {
            Database::Sqlite { pool, .. } => pool,
            Database::Postgres { .. } => unreachable!("it was made on SQLite"),
        }
    }
}

impl Bed for SqliteBed {
    type Open = RecordingTransaction<'static>;
    type Commands = SqliteCommands;
    type Queries = SqliteQueries;

    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&directory.path().join("master.db"))
            .await
            .unwrap();
        let url = SecretUrl::new(database.url().to_owned());
        cqrs_outbox::migrate(&url).await.unwrap();
        database.execute(PURSE).await.unwrap();
        Self {
            database,
            _directory: directory,
        }
    }

    fn commands(&self) -> SqliteCommands {
        SqliteCommands::new(self.pool().clone())
    }

    fn queries(&self) -> SqliteQueries {
        SqliteQueries::new(self.pool())
    }

    fn database(&self) -> &Database {
        &self.database
    }

    async fn forget(&self, older_than: Duration) -> Result<u64, StoreError> {
        self.commands().forget(older_than).await
    }
}

impl Statements for SqliteConnection {
    async fn execute(&mut self, sql: &'static str, values: &[i64]) -> Result<u64, sqlx::Error> {
        let mut query = sqlx::query(sql);
        for value in values {
            query = query.bind(*value);
        }
        Ok(query.execute(&mut *self).await?.rows_affected())
    }

    async fn number(
        &mut self,
        sql: &'static str,
        values: &[i64],
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut query = sqlx::query_scalar(sql);
        for value in values {
            query = query.bind(*value);
        }
        query.fetch_optional(&mut *self).await
    }
}

suite!(SqliteBed);
