//! A master's database with its tables.

use anyhow::Result;
use cqrs_core::{SecretUrl, database::sqlite::SqliteConfig};
#[cfg(feature = "servers")]
use cqrs_outbox::postgres::PostgresStore;
use cqrs_outbox::{
    OutboxStore, migrate,
    source::{ReadModel, SourceModel, SourceStore},
    sqlite::SqliteStore,
};
use cqrs_tests::database::Database;
use tempfile::TempDir;

/// A migrated master.
pub(crate) trait World {
    type Store: SourceStore + OutboxStore;

    fn store(&self) -> Self::Store;
    fn database(&self) -> &Database;

    /// One of two texts, by the database.
    fn choose(&self, postgres: &'static str, sqlite: &'static str) -> &'static str {
        match self.database() {
            Database::Postgres { .. } => postgres,
            Database::Sqlite { .. } => sqlite,
        }
    }
}

#[cfg(feature = "servers")]
pub(crate) struct Postgres(Database);

#[cfg(feature = "servers")]
impl Postgres {
    pub(crate) async fn create() -> Result<Self> {
        let database = Database::postgres().await?;
        migrate(&SecretUrl::new(database.url())).await?;
        Ok(Self(database))
    }
}

#[cfg(feature = "servers")]
impl World for Postgres {
    type Store = PostgresStore;

    fn store(&self) -> PostgresStore {
        PostgresStore::new(cqrs_core::database::postgres::PostgresConfig::new(
            SecretUrl::new(self.0.url()),
            "test",
        ))
    }

    fn database(&self) -> &Database {
        &self.0
    }
}

pub(crate) struct Sqlite {
    database: Database,
    _directory: TempDir,
}

impl Sqlite {
    pub(crate) async fn create() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = Database::sqlite(&directory.path().join("master.db")).await?;
        migrate(&SecretUrl::new(database.url())).await?;
        Ok(Self {
            database,
            _directory: directory,
        })
    }
}

impl World for Sqlite {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        SqliteStore::new(SqliteConfig::new(SecretUrl::new(self.database.url())))
    }

    fn database(&self) -> &Database {
        &self.database
    }
}

/// A declared table.
pub(crate) fn model<R>(table: &str, key: &[&str]) -> ReadModel<R> {
    ReadModel::table(source(table, key))
}

pub(crate) fn source(table: &str, key: &[&str]) -> SourceModel {
    let key = key.iter().map(|&name| name.to_owned()).collect();
    SourceModel::new("thing".parse().unwrap(), table, key)
}
