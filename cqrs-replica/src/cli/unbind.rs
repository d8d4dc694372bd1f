//! `unbind`.

use anyhow::{Context, bail};
use cqrs_core::{
    CqrsId, QueueName,
    cli::{
        broker::{self, WithBrowse},
        output,
    },
    config::Config,
    transport::Browse,
};

use super::{Database, settings};
use crate::{Model, Models};

/// Removes the bindings of models that are not applied here any more.
pub(super) async fn execute<S: Database>(
    config: &Config,
    handlers: Vec<Model<S>>,
    cqrs_ids: Vec<CqrsId>,
) -> anyhow::Result<()> {
    let replica = config.require_replica()?;
    let models = Models::new(settings::tables(replica).chain(handlers))?;
    if let Some(kept) = cqrs_ids
        .iter()
        .find(|cqrs_id| models.get(cqrs_id).is_some())
    {
        bail!(
            "{kept} is a model of this service, and the next worker would bind it again: take it out of \
             cqrs.toml first, and replace the workers that know it"
        );
    }
    let unbind = Unbind {
        queue: replica.queue.clone(),
        cqrs_ids,
    };
    broker::browse(config.require_broker()?, "cqrs-replica", unbind).await
}

struct Unbind {
    queue: QueueName,
    cqrs_ids: Vec<CqrsId>,
}

impl WithBrowse for Unbind {
    async fn with<T: Browse>(self, transport: T) -> anyhow::Result<()> {
        let queue = &self.queue;
        for cqrs_id in &self.cqrs_ids {
            let unbound = transport.unbind(queue, cqrs_id).await;
            unbound.with_context(|| format!("{cqrs_id} could not be unbound from {queue}"))?;
            output::line(&format!(
                "{queue} gets no more events of {cqrs_id}; those that came before are letters: \
                 `cqrs-replica dead-letters purge --cqrs-id {cqrs_id}` forgets the dead ones"
            ))?;
        }
        Ok(())
    }
}
