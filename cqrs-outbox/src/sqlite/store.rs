//! The address of an outbox in `SQLite`.

use cqrs_core::{
    StoreError,
    database::{
        sqlite::{SqliteConfig, check_schema, classify, connect},
        within,
    },
};

use super::{MIGRATIONS, SqliteSession};
use crate::OutboxStore;

/// An outbox in a `SQLite` file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(super) config: SqliteConfig,
}

impl SqliteStore {
    /// The outbox in this file. Opens nothing.
    #[must_use]
    pub const fn new(config: SqliteConfig) -> Self {
        Self { config }
    }
}

impl OutboxStore for SqliteStore {
    type Session = SqliteSession;

    async fn session(&self) -> Result<SqliteSession, StoreError> {
        let mut connection = connect(&self.config).await?;
        // SQLite gives up waiting first, and says so.
        let patience = self.config.busy_timeout * 2;
        let checked = async { Ok(check_schema(&mut connection, &MIGRATIONS).await) };
        within(patience, classify, checked).await??;
        Ok(SqliteSession::new(connection, patience))
    }
}
