//! Which database.

use anyhow::bail;
use cqrs_core::config::Replica;

use super::{Cli, settings};
// Without a database there is none that could be compared, and no store either.
#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
use crate::ReplicaStore as Store;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::reconcile::ReconcileStore as Store;

/// A store that the command line can make from `[replica]`.
pub trait Database: Store {
    /// How the URLs of its databases begin: `postgres`.
    const SCHEMES: &'static [&'static str];

    /// The store of this configuration. Nothing is connected yet.
    fn open(replica: &Replica) -> Self;
}

/// The store of this configuration, if it is one of this kind.
pub(super) fn open<S: Database>(replica: &Replica) -> anyhow::Result<S> {
    if !S::SCHEMES.contains(&replica.database.scheme().as_str()) {
        bail!(
            "replica.database is {}, but this program works with {}://",
            replica.database,
            S::SCHEMES.join(":// or "),
        );
    }
    Ok(S::open(replica))
}

/// Executes for the database that the configuration names.
pub(super) async fn execute(cli: Cli) -> anyhow::Result<()> {
    let config = settings::load(&cli)?;
    let database = &config.require_replica()?.database;
    let scheme = database.scheme();
    // The only place that names all databases, each there if its feature is.
    #[cfg(feature = "postgres")]
    if crate::postgres::PostgresReplica::SCHEMES.contains(&scheme.as_str()) {
        return Box::pin(cli.execute::<crate::postgres::PostgresReplica>(|| Ok(Vec::new()))).await;
    }
    #[cfg(feature = "sqlite")]
    if crate::sqlite::SqliteReplica::SCHEMES.contains(&scheme.as_str()) {
        return Box::pin(cli.execute::<crate::sqlite::SqliteReplica>(|| Ok(Vec::new()))).await;
    }
    bail!(
        "replica.database is {database}, but this program was built without support for \
         {scheme}://: build it with the feature of that name"
    )
}
