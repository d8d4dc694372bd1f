//! A replica in an `SQLite` database.

mod bookkeeping;
mod broker_letters;
mod catalog;
mod connection;
mod error;
mod freshness;
mod letters;
mod obstructing;
mod reconcile;
mod references;
mod room;
mod savepoint;
mod sql;
mod stored;
mod tables;
mod values;
mod work;

use std::sync::Arc;

use cqrs_core::{
    StoreError,
    database::sqlite::{check_schema, connect},
};

use connection::SqliteConnection;
pub use cqrs_core::database::sqlite::SqliteConfig;

use crate::{ReplicaStore, apply::Session, migrations};

/// An `SQLite` database that holds a replica.
#[derive(Debug, Clone)]
pub struct SqliteReplica {
    config: Arc<SqliteConfig>,
}

impl SqliteReplica {
    /// The database of this configuration; nothing is connected yet.
    #[must_use]
    pub fn new(config: SqliteConfig) -> Self {
        Self {
            config: Arc::new(config),
        }
    }
}

impl ReplicaStore for SqliteReplica {
    type Session = Session<SqliteConnection>;
    type Connection = sqlx::SqliteConnection;

    async fn session(&self) -> Result<Self::Session, StoreError> {
        let mut connection = connect(&self.config).await?;
        check_schema(&mut connection, &migrations::SQLITE).await?;
        Ok(Session::new(SqliteConnection::new(
            connection,
            Arc::clone(&self.config),
        )))
    }
}

/// Makes the replica's own tables, or brings them up to date. A second run changes nothing.
///
/// # Errors
/// Any [`StoreError`]; [`StoreError::Schema`] when the database is newer than this program.
pub async fn migrate(config: &SqliteConfig) -> Result<(), StoreError> {
    cqrs_core::database::sqlite::migrate(config, &migrations::SQLITE).await
}

/// Every statement with its name, for tests that prepare and explain them.
#[doc(hidden)]
#[must_use]
pub fn statements() -> &'static [(&'static str, &'static str)] {
    sql::ALL
}
