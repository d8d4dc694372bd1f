//! The address of an outbox in `PostgreSQL`.

use cqrs_core::{
    StoreError,
    database::postgres::{PostgresConfig, check_schema, classify, connect},
    database::within,
};
use sqlx::{Executor, PgConnection};

use super::{MIGRATIONS, PostgresSession, sql};
use crate::OutboxStore;

/// An outbox in a `PostgreSQL` database.
///
/// Its sessions need the rights to read and write the tables `cqrs_outbox`, `cqrs_outbox_dead`,
/// `cqrs_relay` and `cqrs_relay_lease`, to read and lock `cqrs_revision`, and to read the sequence
/// `cqrs_outbox_id_seq` and the table of migrations.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pub(super) config: PostgresConfig,
}

impl PostgresStore {
    /// The outbox at this address. Connects to nothing.
    #[must_use]
    pub const fn new(config: PostgresConfig) -> Self {
        Self { config }
    }
}

impl OutboxStore for PostgresStore {
    type Session = PostgresSession;

    async fn session(&self) -> Result<PostgresSession, StoreError> {
        let mut connection = connect(&self.config).await?;
        // The server ends a statement first, and says so.
        let patience = self.config.statement_timeout + self.config.connect_timeout;
        let prepared = async {
            check_schema(&mut connection, &MIGRATIONS).await?;
            tune(&mut connection).await.map_err(classify)
        };
        within(patience, classify, async { Ok(prepared.await) }).await??;
        Ok(PostgresSession::new(connection, patience))
    }
}

async fn tune(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::query(sql::SESSION)).await?;
    connection.execute(sqlx::query(sql::DEAD_IDS)).await?;
    Ok(())
}
