//! `PostgreSQL`, from `[master]` and `[relay]`.

use cqrs_core::{SecretUrl, config::Relay, database::postgres::PostgresConfig};
use cqrs_outbox::postgres::PostgresStore;

use super::Database;

pub(super) const SCHEMES: &[&str] = &["postgres", "postgresql"];

pub(super) fn open(database: &SecretUrl, relay: &Relay) -> PostgresStore {
    let mut config = PostgresConfig::new(database.clone(), "cqrs-relay");
    config.statement_timeout = relay.statement_timeout;
    PostgresStore::new(config)
}

impl Database for PostgresStore {
    const SCHEMES: &'static [&'static str] = SCHEMES;

    fn open(database: &SecretUrl, relay: &Relay) -> Self {
        open(database, relay)
    }
}
