//! Which database.

use anyhow::bail;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use cqrs_core::config::Relay;
use cqrs_core::{SecretUrl, config::Config};
use cqrs_outbox::OutboxStore;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use cqrs_outbox::{reconcile::ReconcileSource, source::SourceStore};

#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::{table_args::TableCommand, tables};

/// A store that the command line can make from `[master]` and `[relay]`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub trait Database: OutboxStore + SourceStore {
    /// How the URLs of its databases begin: `postgres`.
    const SCHEMES: &'static [&'static str];

    /// The store at this address. Nothing is connected yet.
    fn open(database: &SecretUrl, relay: &Relay) -> Self;
}

/// The store of this configuration, if it is one of this kind.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
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

/// What is done with whichever store it is.
pub(super) trait WithStore {
    async fn with<S: OutboxStore>(self, store: S) -> anyhow::Result<()>;
}

/// Does something with the store that the configuration names.
pub(super) async fn with(config: &Config, task: impl WithStore) -> anyhow::Result<()> {
    let database = &config.require_master()?.database;
    let scheme = database.scheme();
    // The only place that names all databases, each there if its feature is.
    #[cfg(feature = "postgres")]
    if postgres::SCHEMES.contains(&scheme.as_str()) {
        return task.with(postgres::open(database, &config.relay)).await;
    }
    #[cfg(feature = "sqlite")]
    if sqlite::SCHEMES.contains(&scheme.as_str()) {
        return task.with(sqlite::open(database, &config.relay)).await;
    }
    drop(task);
    unsupported(database, &scheme)
}

/// What is done with whichever store it is whose tables can be read as well.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) trait WithSource {
    async fn with<S: OutboxStore + ReconcileSource>(self, store: S) -> anyhow::Result<()>;
}

/// As [`with`].
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) async fn with_source(config: &Config, task: impl WithSource) -> anyhow::Result<()> {
    let database = &config.require_master()?.database;
    let scheme = database.scheme();
    #[cfg(feature = "postgres")]
    if postgres::SCHEMES.contains(&scheme.as_str()) {
        return task.with(postgres::open(database, &config.relay)).await;
    }
    #[cfg(feature = "sqlite")]
    if sqlite::SCHEMES.contains(&scheme.as_str()) {
        return task.with(sqlite::open(database, &config.relay)).await;
    }
    drop(task);
    unsupported(database, &scheme)
}

/// Executes a command that reads tables, for the models of the configuration.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) async fn with_tables(config: &Config, command: TableCommand) -> anyhow::Result<()> {
    let database = &config.require_master()?.database;
    let scheme = database.scheme();
    #[cfg(feature = "postgres")]
    if postgres::SCHEMES.contains(&scheme.as_str()) {
        let store = postgres::open(database, &config.relay);
        return tables::run(&store, config, command, Vec::new()).await;
    }
    #[cfg(feature = "sqlite")]
    if sqlite::SCHEMES.contains(&scheme.as_str()) {
        let store = sqlite::open(database, &config.relay);
        return tables::run(&store, config, command, Vec::new()).await;
    }
    unsupported(database, &scheme)
}

pub(super) fn unsupported(database: &SecretUrl, scheme: &str) -> anyhow::Result<()> {
    bail!(
        "master.database is {database}, but this program was built without support for \
         {scheme}://: build it with the feature `postgres` or `sqlite`"
    )
}
