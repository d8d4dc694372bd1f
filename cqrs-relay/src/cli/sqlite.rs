//! `SQLite`, from `[master]` and `[relay]`.

use cqrs_core::{
    SecretUrl, StoreError,
    config::Relay,
    database::sqlite::{self, SqliteConfig},
};
use cqrs_outbox::{capture::Capture, sqlite::SqliteStore};

use super::Database;

pub(super) const SCHEMES: &[&str] = &["sqlite"];

pub(super) fn open(database: &SecretUrl, relay: &Relay) -> SqliteStore {
    SqliteStore::new(settings(database, relay))
}

/// A connection of a command's own.
pub(super) async fn connect(
    database: &SecretUrl,
    relay: &Relay,
) -> Result<impl Capture + use<>, StoreError> {
    sqlite::connect(&settings(database, relay)).await
}

fn settings(database: &SecretUrl, relay: &Relay) -> SqliteConfig {
    let mut config = SqliteConfig::new(database.clone());
    // The store waits twice as long for a statement as for a lock.
    config.busy_timeout = relay.statement_timeout / 2;
    config
}

impl Database for SqliteStore {
    const SCHEMES: &'static [&'static str] = SCHEMES;

    fn open(database: &SecretUrl, relay: &Relay) -> Self {
        open(database, relay)
    }
}
