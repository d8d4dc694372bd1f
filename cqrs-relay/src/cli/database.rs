//! Which database.

use anyhow::bail;
use cqrs_core::{SecretUrl, config::Config};
use cqrs_outbox::{OutboxStore, capture::Capture};

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
    bail!("{}", unsupported(database))
}

/// What is done with a connection to whichever database it is.
pub(super) trait WithCapture {
    async fn with<C: Capture>(self, connection: C) -> anyhow::Result<()>;
}

/// Does something with a connection to the database that the configuration names.
pub(super) async fn with_capture(config: &Config, task: impl WithCapture) -> anyhow::Result<()> {
    let database = &config.require_master()?.database;
    let scheme = database.scheme();
    #[cfg(feature = "postgres")]
    if postgres::SCHEMES.contains(&scheme.as_str()) {
        return task
            .with(postgres::connect(database, &config.relay).await?)
            .await;
    }
    #[cfg(feature = "sqlite")]
    if sqlite::SCHEMES.contains(&scheme.as_str()) {
        return task
            .with(sqlite::connect(database, &config.relay).await?)
            .await;
    }
    drop(task);
    bail!("{}", unsupported(database))
}

fn unsupported(database: &SecretUrl) -> String {
    format!(
        "master.database is {database}, but this program was built without support for \
         {}://: build it with the feature `postgres` or `sqlite`",
        database.scheme()
    )
}
