//! `dead broker list|import`.

use anyhow::Context;
use cqrs_core::{
    QueueName,
    cli::{
        broker::{self, WithBrowse},
        output,
    },
    config::Config,
    transport::Browse,
};

use super::{Database, args::BrokerCommand};
use crate::{Imported, dead};

pub(super) async fn execute<S: Database>(
    store: S,
    config: &Config,
    command: BrokerCommand,
) -> anyhow::Result<()> {
    let replica = config.require_replica()?;
    let dead_letter_queue = replica.dead_letter_queue.clone();
    let look = Look {
        store,
        queue: replica.queue.clone(),
        dead_letter_queue: dead_letter_queue.context("there is no replica.dead_letter_queue")?,
        command,
    };
    broker::browse(config.require_broker()?, "cqrs-replica", look).await
}

struct Look<S> {
    store: S,
    queue: QueueName,
    dead_letter_queue: QueueName,
    command: BrokerCommand,
}

impl<S: Database> WithBrowse for Look<S> {
    async fn with<T: Browse>(self, transport: T) -> anyhow::Result<()> {
        match self.command {
            BrokerCommand::List { limit, json } => {
                let dead = &self.dead_letter_queue;
                let listing = dead::broker_list(&transport, dead, limit).await?;
                output::report(&listing, json)
            }
            BrokerCommand::Import { retry, limit } => {
                let queues = (&self.queue, &self.dead_letter_queue);
                let imported =
                    dead::broker_import(&self.store, &transport, queues, limit, retry).await?;
                output::line(&told(imported))
            }
        }
    }
}

fn told(Imported { new, known }: Imported) -> String {
    let s = if new == 1 { "" } else { "s" };
    match known {
        0 => format!("{new} letter{s} imported"),
        _ => format!("{new} letter{s} imported; {known} were here already"),
    }
}
