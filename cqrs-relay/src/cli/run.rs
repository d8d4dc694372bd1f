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
use cqrs_outbox::{OutboxStore, reconcile::ReconcileSource};

use super::{
    database::{self, WithSource},
    settings, source,
};
use crate::{Answers, Relay, Shutdown, new_owner};

/// Forwards events until a signal says stop.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    // Before anything else: from here on a signal is a request.
    let signals = Signals::new()?;
    let database = &config.require_master()?.database;
    let broker = &config.require_broker()?.url;
    tracing::info!(%database, %broker, "starting");
    database::with_source(config, Forward { config, signals }).await
}

struct Forward<'a> {
    config: &'a Config,
    signals: Signals,
}

impl WithSource for Forward<'_> {
    async fn with<S: OutboxStore + ReconcileSource>(self, store: S) -> anyhow::Result<()> {
        let broker = self.config.require_broker()?;
        broker::with(
            broker,
            "cqrs-relay",
            Between {
                forward: self,
                store,
            },
        )
        .await
    }
}

struct Between<'a, S> {
    forward: Forward<'a>,
    store: S,
}

impl<S: OutboxStore + ReconcileSource> WithTransport for Between<'_, S> {
    async fn with<T: Transport>(self, transport: T) -> anyhow::Result<()> {
        let Self {
            forward: Forward {
                config,
                mut signals,
            },
            store,
        } = self;
        let shutdown = Shutdown::new();
        let owner = new_owner(&SystemClock);
        let exchange = config.require_broker()?.exchange.clone();
        let models = if config.relay.reconcile {
            source::models(config)?
        } else {
            Vec::new()
        };
        let answers = Answers::new(store.clone(), transport.clone(), models, exchange);
        let relay = settings::relay(&config.relay, config.require_broker()?);
        let relay = Relay::new(store, transport, relay, Arc::new(SystemClock), owner);
        let forwarding = async {
            let ended = relay.run(shutdown.clone()).await;
            // Whatever has ended it, nobody answers without it.
            shutdown.drain.cancel();
            ended
        };
        let both = async {
            let answering = Box::pin(answers.run(shutdown.drain.clone()));
            tokio::join!(forwarding, answering).0
        };
        tokio::select! {
            ended = both => Ok(ended?),
            never = signals.stop(&shutdown) => match never {},
        }
    }
}
