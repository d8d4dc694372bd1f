//! The database whose tables are read.

use anyhow::bail;
use cqrs_core::{
    SecretUrl,
    config::{Config, Relay},
};
use cqrs_outbox::{OutboxStore, source::SourceStore};

use super::{table_args::TableCommand, tables};

/// A store that the command line can make from `[master]` and `[relay]`.
pub trait Database: OutboxStore + SourceStore {
    /// How the URLs of its databases begin: `postgres`.
    const SCHEMES: &'static [&'static str];

    /// The store at this address. Nothing is connected yet.
    fn open(database: &SecretUrl, relay: &Relay) -> Self;
}

/// The store of this configuration, if it is one of this kind.
pub(super) fn open<S: Database>(config: &Config) -> anyhow::Result<S> {
    let database = &config.require_master()?.database;
    if !S::SCHEMES.contains(&database.scheme().as_str()) {
        bail!(
            "master.database is {database}, but this program works with {}://",
            S::SCHEMES.join(":// or "),
        );
    }
    Ok(S::open(database, &config.relay))
}

/// Executes for the database and the models that the configuration names.
pub(super) async fn execute(config: &Config, command: TableCommand) -> anyhow::Result<()> {
    let scheme = config.require_master()?.database.scheme();
    #[cfg(feature = "postgres")]
    if cqrs_outbox::postgres::PostgresStore::SCHEMES.contains(&scheme.as_str()) {
        let store: cqrs_outbox::postgres::PostgresStore = open(config)?;
        return tables::run(&store, config, command, Vec::new()).await;
    }
    #[cfg(feature = "sqlite")]
    if cqrs_outbox::sqlite::SqliteStore::SCHEMES.contains(&scheme.as_str()) {
        let store: cqrs_outbox::sqlite::SqliteStore = open(config)?;
        return tables::run(&store, config, command, Vec::new()).await;
    }
    bail!("this program was built without support for {scheme}://: build it with that feature")
}
