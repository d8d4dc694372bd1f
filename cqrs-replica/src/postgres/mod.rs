//! A replica in a `PostgreSQL` database.

mod bookkeeping;
mod broker_letters;
mod catalog;
mod connection;
mod error;
mod freshness;
mod letters;
mod limits;
mod obstructing;
mod reconcile;
mod references;
mod room;
mod savepoint;
mod sql;
mod tables;
mod timeout;
mod values;
mod work;

use std::sync::Arc;

use cqrs_core::{
    StoreError,
    database::postgres::{check_schema, connect},
};

use connection::PostgresConnection;
pub use cqrs_core::database::postgres::PostgresConfig;

use crate::{ReplicaStore, apply::Session, migrations};

/// A `PostgreSQL` database that holds a replica.
#[derive(Debug, Clone)]
pub struct PostgresReplica {
    config: Arc<PostgresConfig>,
}

impl PostgresReplica {
    /// The database of this configuration; nothing is connected yet.
    #[must_use]
    pub fn new(config: PostgresConfig) -> Self {
        Self {
            config: Arc::new(config),
        }
    }
}

impl ReplicaStore for PostgresReplica {
    type Session = Session<PostgresConnection>;
    type Connection = sqlx::PgConnection;

    async fn session(&self) -> Result<Self::Session, StoreError> {
        let mut connection = connect(&self.config).await?;
        check_schema(&mut connection, &migrations::POSTGRES).await?;
        let connection = PostgresConnection::new(connection, Arc::clone(&self.config)).await?;
        Ok(Session::new(connection))
    }
}

/// Makes the replica's own tables, or brings them up to date. A second run changes nothing.
///
/// # Errors
/// Any [`StoreError`]; [`StoreError::Schema`] when the database is newer than this program.
pub async fn migrate(config: &PostgresConfig) -> Result<(), StoreError> {
    cqrs_core::database::postgres::migrate(config, &migrations::POSTGRES).await
}

/// Every statement with its name, for tests that prepare and explain them.
#[doc(hidden)]
#[must_use]
pub fn statements() -> &'static [(&'static str, &'static str)] {
    sql::ALL
}
