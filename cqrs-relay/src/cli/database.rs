//! Which database.

use anyhow::bail;
use cqrs_core::{SecretUrl, config::Config};
use cqrs_outbox::OutboxStore;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use cqrs_outbox::reconcile::ReconcileSource;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::capture::{self, CaptureCommand};
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
/// What is done with whichever store it is.
pub(super) trait WithStore {
    async fn with<S: OutboxStore>(self, store: S) -> anyhow::Result<()>;
}

/// Does something with the store that the configuration names.
pub(super) async fn with(config: &Config, task: impl WithStore) -> anyhow::Result<()> {
    let database = &config.require_master()?.database;
    let scheme = database.scheme();
    // The only file that names all databases, each there if its feature is.
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

/// Executes a command on triggers.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) async fn with_capture(config: &Config, command: CaptureCommand) -> anyhow::Result<()> {
    let database = &config.require_master()?.database;
    let scheme = database.scheme();
    #[cfg(feature = "postgres")]
    if postgres::SCHEMES.contains(&scheme.as_str()) {
        let mut connection = postgres::connect(database, &config.relay).await?;
        return capture::run(&mut connection, config, command).await;
    }
    #[cfg(feature = "sqlite")]
    if sqlite::SCHEMES.contains(&scheme.as_str()) {
        let mut connection = sqlite::connect(database, &config.relay).await?;
        return capture::run(&mut connection, config, command).await;
    }
    unsupported(database, &scheme)
}

pub(super) fn unsupported(database: &SecretUrl, scheme: &str) -> anyhow::Result<()> {
    bail!(
        "master.database is {database}, but this program was built without support for \
         {scheme}://: build it with the feature `postgres` or `sqlite`"
    )
}
