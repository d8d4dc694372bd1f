//! From arguments, environment and file to what the library takes.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use cqrs_core::SecretUrl;
use cqrs_core::{
    cli::settings::{self, Flag},
    config::{Config, ConfigError, ExpiredMessage, Needed, Replica, ReplicaModel},
};

use super::{Cli, Command, Database, args::DeadCommand};
use crate::{Model, OnExpired, TableModel, WorkerConfig};

/// The whole configuration: flags over environment over file.
pub(super) fn load(cli: &Cli) -> Result<Config, ConfigError> {
    let mut flags: Vec<Flag<'_>> = vec![("replica.queue", "--queue", cli.queue.as_deref())];
    let mut needed = vec![Needed::Replica];
    if let Command::Dead(DeadCommand::Broker(_)) = &cli.command {
        needed.push(Needed::Broker);
    }
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    if let Command::Reconcile(reconcile) = &cli.command {
        let master = reconcile.master.as_ref().map(SecretUrl::expose);
        flags.push(("master.database", "--master", master));
        needed.push(Needed::Broker);
    }
    if let Command::Run(run) = &cli.command {
        needed.push(Needed::Broker);
        flags.extend([
            ("replica.prefetch", "--prefetch", run.prefetch.as_deref()),
            ("replica.lanes", "--lanes", run.lanes.as_deref()),
            (
                "replica.batch_size",
                "--batch-size",
                run.batch_size.as_deref(),
            ),
            (
                "replica.batch_wait",
                "--batch-wait",
                run.batch_wait.as_deref(),
            ),
            (
                "replica.drain_timeout",
                "--drain-timeout",
                run.drain_timeout.as_deref(),
            ),
        ]);
    }
    let sources = settings::sources(&cli.options, "replica.database", flags)?;
    Config::load_for(&sources, &needed)
}

/// The worker's part of `[replica]`.
pub(super) fn worker(replica: &Replica) -> WorkerConfig {
    let mut worker = WorkerConfig::new(replica.queue.clone());
    worker.apply.clock_tolerance = replica.clock_tolerance;
    worker.apply.gap_wait = replica.gap_wait;
    worker.apply.unknown_model_ttl = replica.unknown_model_ttl;
    worker.apply.reference_wait = replica.reference_wait;
    worker
        .dead_letter_queue
        .clone_from(&replica.dead_letter_queue);
    worker.prefetch = replica.prefetch;
    worker.prefetch_bytes = usize::try_from(replica.prefetch_bytes).unwrap_or(usize::MAX);
    worker.lanes = replica.lanes;
    worker.batch_size = replica.batch_size;
    worker.batch_wait = replica.batch_wait;
    worker.tombstone_ttl = replica.tombstone_ttl;
    worker.dead_letter_ttl = replica.dead_letter_ttl;
    worker.drain_timeout = replica.drain_timeout;
    worker
}

/// The models of `[[replica.model]]`.
pub(super) fn tables<S: Database>(replica: &Replica) -> impl Iterator<Item = Model<S>> {
    replica.models.iter().map(|model| table(replica, model))
}

fn table<S: Database>(replica: &Replica, model: &ReplicaModel) -> Model<S> {
    let mut table = TableModel::new(model.table.to_string(), "").with_key(model.key.clone());
    if let Some(columns) = &model.columns {
        table = table.with_columns(columns.clone());
    }
    table = table.with_optional(model.optional.clone());
    let table = Model::table(model.cqrs_id.clone(), table)
        .with_retry(replica.retry_of(model))
        .with_on_expired(match model.on_expired.unwrap_or(replica.on_expired) {
            ExpiredMessage::Apply => OnExpired::Apply,
            ExpiredMessage::Dead => OnExpired::Park,
        })
        .with_sync_downgrade(model.sync_downgrade)
        .with_only_direct_syncs(model.only_direct_syncs)
        .with_published_dead_letters(model.publish_dead_letters);
    match model.statement_timeout {
        Some(timeout) => table.with_statement_timeout(timeout),
        None => table,
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::{QueueName, SecretUrl};

    use super::*;

    #[test]
    fn the_defaults_of_the_file_are_those_of_the_library() {
        let queue = QueueName::new("billing").unwrap();
        let replica = Replica::new(SecretUrl::new("sqlite://x.db"), queue.clone());
        let (file, library) = (worker(&replica), WorkerConfig::new(queue));
        assert_eq!(format!("{file:?}"), format!("{library:?}"));
    }
}
