//! Which database.

use anyhow::bail;
use cqrs_core::config::Config;
use cqrs_outbox::{OutboxStore, reconcile::ReconcileSource};

#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;

/// What is done with whichever store it is.
pub(super) trait WithStore {
    async fn with<S: OutboxStore + ReconcileSource>(self, store: S) -> anyhow::Result<()>;
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
    bail!(
        "master.database is {database}, but this program was built without support for \
         {scheme}://: build it with the feature `postgres` or `sqlite`"
    )
}
