//! `run`.

#[cfg(unix)]
use std::num::NonZeroU16;
use std::{convert::Infallible, sync::Arc};

#[cfg(unix)]
use anyhow::Context;
use cqrs_core::{
    SystemClock,
    cli::{
        Signals,
        broker::{self, WithTransport},
    },
    config::Config,
    transport::Transport,
};
use tokio_util::sync::CancellationToken;

#[cfg(unix)]
use super::workers;
use super::{Database, args, settings};
use crate::{Model, Models, Shutdown, Worker, WorkerConfig, new_worker_id};

/// Applies events until a signal says stop.
pub(super) async fn run<S: Database>(
    store: S,
    config: &Config,
    handlers: Vec<Model<S>>,
    arguments: &args::Run,
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
    let mut worker = settings::worker(replica);
    worker.max_message_bytes = broker.max_message_bytes;
    let work = Work {
        store,
        models,
        config: worker,
        signals,
        processes: Processes::of(arguments)?,
    };
    broker::with(broker, "cqrs-replica", work).await
}

struct Work<S: Database> {
    store: S,
    models: Models<S>,
    config: WorkerConfig,
    signals: Signals,
    processes: Processes,
}

/// This process among those of `--workers`.
enum Processes {
    /// There are no others.
    Alone,
    #[cfg(unix)]
    Parent(NonZeroU16),
    #[cfg(unix)]
    Child(workers::Parent),
}

impl Processes {
    #[cfg(unix)]
    fn of(arguments: &args::Run) -> anyhow::Result<Self> {
        Ok(match (arguments.supervised, arguments.workers) {
            (Some(_), _) => Self::Child(
                workers::Parent::by_stdin().context("--supervised is for --workers to say")?,
            ),
            (None, Some(count)) => Self::Parent(count),
            (None, None) => Self::Alone,
        })
    }

    #[cfg(not(unix))]
    fn of(_: &args::Run) -> anyhow::Result<Self> {
        Ok(Self::Alone)
    }

    /// What a child owes its parent.
    async fn attend(self, started: CancellationToken, drain: CancellationToken) -> Infallible {
        match self {
            #[cfg(unix)]
            Self::Child(parent) => parent.attend(started, drain).await,
            _ => std::future::pending().await,
        }
    }
}

impl<S: Database> WithTransport for Work<S> {
    async fn with<T: Transport>(self, transport: T) -> anyhow::Result<()> {
        let Self {
            store,
            models,
            config,
            mut signals,
            processes,
        } = self;
        // Only now: what the children will refuse has been refused.
        #[cfg(unix)]
        if let Processes::Parent(count) = processes {
            config.validate()?;
            return workers::supervise(count, config.drain_timeout, signals).await;
        }
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
        let started = worker.started();
        tokio::select! {
            ended = worker.run(shutdown.clone()) => Ok(ended?),
            never = signals.stop(&shutdown) => match never {},
            never = processes.attend(started, shutdown.drain.clone()) => match never {},
        }
    }
}
