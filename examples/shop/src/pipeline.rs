//! What lies between the services: a relay and a worker. Each would do with a process of its own, `cqrs-relay run`
//! and `shop-reports-worker run`, and as many of them as you like.

use std::sync::Arc;

use anyhow::{Result, bail};
use cqrs_core::{
    SecretUrl, Shutdown, SystemClock,
    cli::broker::{self, WithTransport},
    config::Config,
    database::{postgres::PostgresConfig, sqlite::SqliteConfig},
    transport::Transport,
};
use cqrs_outbox::{OutboxStore, postgres::PostgresStore, sqlite::SqliteStore};
use cqrs_relay::{Relay, RelayConfig, new_owner};
use cqrs_replica::{
    Models, ReplicaStore, Worker, WorkerConfig, new_worker_id, postgres::PostgresReplica,
    sqlite::SqliteReplica,
};
use shop_reports::model::{Tables, models};

/// Carries events from the orders to the reports until it is told to stop.
pub async fn run(config: &Config, shutdown: Shutdown) -> Result<()> {
    let broker = config.require_broker()?;
    broker::with(broker, "shop", Pipeline { config, shutdown }).await
}

struct Pipeline<'a> {
    config: &'a Config,
    shutdown: Shutdown,
}

impl WithTransport for Pipeline<'_> {
    async fn with<T: Transport>(self, transport: T) -> Result<()> {
        let relay = self.relay(transport.clone());
        let worker = self.worker(transport);
        tokio::try_join!(relay, worker)?;
        Ok(())
    }
}

impl Pipeline<'_> {
    async fn relay<T: Transport>(&self, transport: T) -> Result<()> {
        let url = self.config.require_master()?.database.clone();
        if is_sqlite(&url)? {
            let store = SqliteStore::new(SqliteConfig::new(url));
            self.relay_from(store, transport).await
        } else {
            let store = PostgresStore::new(PostgresConfig::new(url, "shop relay"));
            self.relay_from(store, transport).await
        }
    }

    async fn relay_from<S: OutboxStore, T: Transport>(&self, store: S, transport: T) -> Result<()> {
        let (config, clock) = (RelayConfig::default(), Arc::new(SystemClock));
        let relay = Relay::new(store, transport, config, clock, new_owner(&SystemClock));
        Ok(Box::pin(relay.run(self.shutdown.clone())).await?)
    }

    async fn worker<T: Transport>(&self, transport: T) -> Result<()> {
        let url = self.config.require_replica()?.database.clone();
        if is_sqlite(&url)? {
            let store = SqliteReplica::new(SqliteConfig::new(url));
            self.work_into(store, transport).await
        } else {
            let store = PostgresReplica::new(PostgresConfig::new(url, "shop worker"));
            self.work_into(store, transport).await
        }
    }

    async fn work_into<S, T>(&self, store: S, transport: T) -> Result<()>
    where
        S: ReplicaStore<Connection: Tables>,
        T: Transport,
    {
        let models = Models::new(models()?)?;
        let config = WorkerConfig::new(self.config.require_replica()?.queue.clone());
        let (clock, id) = (Arc::new(SystemClock), new_worker_id(&SystemClock));
        let worker = Worker::new(store, transport, models, config, clock, id);
        Ok(Box::pin(worker.run(self.shutdown.clone())).await?)
    }
}

fn is_sqlite(url: &SecretUrl) -> Result<bool> {
    match url.scheme().as_str() {
        "sqlite" => Ok(true),
        "postgres" | "postgresql" => Ok(false),
        other => bail!("{other}:// is no database of the shop: give postgres:// or sqlite://"),
    }
}
