//! `SQLite`, from `[master]` and `[relay]`.

use cqrs_core::{SecretUrl, config::Relay, database::sqlite::SqliteConfig};
use cqrs_outbox::sqlite::SqliteStore;

use super::Database;

pub(super) const SCHEMES: &[&str] = &["sqlite"];

pub(super) fn open(database: &SecretUrl, relay: &Relay) -> SqliteStore {
    let mut config = SqliteConfig::new(database.clone());
    // The store waits twice as long for a statement as for a lock.
    config.busy_timeout = relay.statement_timeout / 2;
    SqliteStore::new(config)
}

impl Database for SqliteStore {
    const SCHEMES: &'static [&'static str] = SCHEMES;

    fn open(database: &SecretUrl, relay: &Relay) -> Self {
        open(database, relay)
    }
}
