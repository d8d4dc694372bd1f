//! `PostgreSQL`, from `[master]` and `[relay]`.

use cqrs_core::{
    SecretUrl, StoreError,
    config::Relay,
    database::postgres::{self, PostgresConfig},
};
use cqrs_outbox::{capture::Capture, postgres::PostgresStore};

use super::Database;

pub(super) const SCHEMES: &[&str] = &["postgres", "postgresql"];

pub(super) fn open(database: &SecretUrl, relay: &Relay) -> PostgresStore {
    PostgresStore::new(settings(database, relay))
}

/// A connection of a command's own.
pub(super) async fn connect(
    database: &SecretUrl,
    relay: &Relay,
) -> Result<impl Capture + use<>, StoreError> {
    postgres::connect(&settings(database, relay)).await
}

fn settings(database: &SecretUrl, relay: &Relay) -> PostgresConfig {
    let mut config = PostgresConfig::new(database.clone(), "cqrs-relay");
    config.statement_timeout = relay.statement_timeout;
    config
}

impl Database for PostgresStore {
    const SCHEMES: &'static [&'static str] = SCHEMES;

    fn open(database: &SecretUrl, relay: &Relay) -> Self {
        open(database, relay)
    }
}
