//! `run`.

use std::sync::Arc;

use cqrs_core::{
    SystemClock,
    cli::{
        Signals,
        broker::{self, WithTransport},
    },
    config::Config,
    transport::Transport,
};

use super::{Database, settings};
use crate::{Model, Models, Shutdown, Worker, WorkerConfig, new_worker_id};

/// Applies events until a signal says stop.
pub(super) async fn run<S: Database>(
    store: S,
    config: &Config,
    handlers: Vec<Model<S>>,
) -> anyhow::Result<()> {
    // Before anything else: from here on a signal is a request.
    let signals = Signals::new()?;
    let replica = config.require_replica()?;
    let broker = config.require_broker()?;
    let models = Models::new(settings::tables(replica).chain(handlers))?;
    if models.iter().next().is_none() {
        tracing::warn!("no models: add [[replica.model]] to cqrs.toml, or a handler in code");
    }
    tracing::info!(database = %replica.database, broker = %broker.url, "starting");
    let work = Work {
        store,
        models,
        config: settings::worker(replica),
        signals,
    };
    broker::with(broker, "cqrs-replica", work).await
}

struct Work<S: Database> {
    store: S,
    models: Models<S>,
    config: WorkerConfig,
    signals: Signals,
}

impl<S: Database> WithTransport for Work<S> {
    async fn with<T: Transport>(self, transport: T) -> anyhow::Result<()> {
        let Self {
            store,
            models,
            config,
            mut signals,
        } = self;
        let worker_id = new_worker_id(&SystemClock);
        let shutdown = Shutdown::new();
        let worker = Worker::new(
            store,
            transport,
            models,
            config,
            Arc::new(SystemClock),
            worker_id,
        );
        tokio::select! {
            ended = worker.run(shutdown.clone()) => Ok(ended?),
            never = signals.stop(&shutdown) => match never {},
        }
    }
}
