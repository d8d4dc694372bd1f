//! The service as a whole.

use anyhow::Result;
use axum::Router;
use cqrs_core::{CqrsId, QueueName, SecretUrl};
use cqrs_replica::Freshness;
use tokio::net::TcpListener;

use crate::{
    Bus,
    api::{Api, router},
    model::Database,
};

/// The queue that the service's worker reads.
pub const QUEUE: &str = "reports";

/// The service on its database, with nothing listening yet.
#[derive(Debug, Clone)]
pub struct Service {
    api: Api,
}

impl Service {
    /// Opens the database, and makes what is missing in it. A worker fills it from `queue`.
    pub async fn open(database: &SecretUrl, queue: QueueName) -> Result<Self> {
        let database = Database::open(database).await?;
        let kept = ["account", "product", "order"].map(CqrsId::new);
        let kept = kept.into_iter().collect::<Result<Vec<_>, _>>()?;
        let freshness = match &database {
            Database::Postgres(pool) => Freshness::postgres(pool.clone(), queue, kept),
            Database::Sqlite(pool) => Freshness::sqlite(pool.clone(), queue, kept),
        };
        let bus = Bus::new(&database);
        Ok(Self {
            api: Api { bus, freshness },
        })
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        router(&self.api)
    }

    /// Serves until `stop` is done and the requests at hand are answered.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop);
        Ok(serving.await?)
    }
}
