//! `reconcile`.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use cqrs_core::{
    CqrsId, SecretUrl, Shutdown, StoreError, SystemClock,
    cli::{
        Signals,
        broker::{self, WithBrowse},
        output, unless_stopped,
    },
    config::Config,
    transport::Browse,
};
use serde::Serialize;

use super::{Database, args::period, deletes::Deletes, master, settings};
use crate::{
    Model, Models,
    reconcile::{
        Loss, MasterSide, QueueLook, ReconcileOptions, Reconciled, RemoteMaster, ReplicaReader,
        reconcilable, reconcile,
    },
};

/// How many rows a second are read while watching, if nothing else is said.
const WATCH_RATE: u32 = 10_000;

/// What `reconcile` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example: cqrs-replica reconcile --all --repair

\
    The master's relay answers for its [[master.model]]s. Exit code: 0 if nothing is wrong, or all of it \
    was mended; 1 if something is left.")]
pub(super) struct Reconcile {
    #[command(flatten)]
    which: Compared,
    /// The master's database, read directly, with the tables of [[master.model]]. Without it the
    /// master's relay is asked by the broker.
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(super) master: Option<SecretUrl>,
    /// Mend what is wrong: the master sends again what is missing or not as it should be, and what
    /// should not be here is deleted.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    deletes: Deletes,
    /// Do it again and again, until told to stop by SIGTERM.
    #[arg(long)]
    watch: bool,
    /// How long to wait between two rounds.
    #[arg(long, value_name = "TIME", value_parser = period, default_value = "5m", requires = "watch")]
    every: Duration,
    /// How many rows a second are read at most, on either side. [default: no limit; with --watch: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How long to wait for messages that are on their way.
    #[arg(long, value_name = "TIME", value_parser = period, default_value = "30s")]
    patience: Duration,
    /// As JSON, with all rows.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Compared {
    /// The models to compare.
    #[arg(long = "model", value_name = "ID")]
    models: Vec<CqrsId>,
    /// All models that have a table here.
    #[arg(long)]
    all: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the signature that clap asks for")]
fn url(text: &str) -> Result<SecretUrl, Infallible> {
    Ok(SecretUrl::new(text))
}

impl Reconcile {
    pub(super) fn rate(&self) -> Option<u32> {
        self.rate.or(self.watch.then_some(WATCH_RATE))
    }
}

/// Reconciles once, or until a signal says stop.
pub(super) async fn execute<S: Database>(
    store: S,
    config: &Config,
    handlers: Vec<Model<S>>,
    arguments: Reconcile,
) -> anyhow::Result<()> {
    let replica = config.require_replica()?;
    let models = Models::new(settings::tables(replica).chain(handlers))?;
    let mut options = ReconcileOptions::new(replica.queue.clone());
    options.repair = arguments.repair;
    options.max_deletes = arguments.deletes.limit();
    options.patience = arguments.patience;
    options.rate = arguments.rate();
    let cqrs_ids = if arguments.which.all {
        reconcilable(&models)
    } else {
        arguments.which.models.clone()
    };
    if cqrs_ids.is_empty() {
        bail!("no model has a table here: add [[replica.model]] to cqrs.toml");
    }
    let round = Round {
        store,
        models,
        cqrs_ids,
        options,
        arguments,
    };
    let task = WithQueue { config, round };
    Box::pin(broker::browse(
        config.require_broker()?,
        "cqrs-replica",
        task,
    ))
    .await
}

struct WithQueue<'c, S: Database> {
    config: &'c Config,
    round: Round<S>,
}

impl<S: Database> WithBrowse for WithQueue<'_, S> {
    async fn with<T: Browse>(self, transport: T) -> anyhow::Result<()> {
        let queue = self.round.options.queue.clone();
        let looking = transport.clone();
        let look: QueueLook = Box::new(move || {
            let (transport, queue) = (looking.clone(), queue.clone());
            Box::pin(async move { Ok(transport.depth(&queue).await? == 0) })
        });
        if self.round.arguments.master.is_some() {
            return master::with(self.config, self.round, look).await;
        }
        let rate = self.round.arguments.rate();
        let open = || RemoteMaster::new(transport.clone(), Arc::new(SystemClock), rate);
        self.round.run(open, look).await
    }
}

/// What is done in each round.
pub(super) struct Round<S: Database> {
    store: S,
    models: Models<S>,
    cqrs_ids: Vec<CqrsId>,
    options: ReconcileOptions,
    pub(super) arguments: Reconcile,
}

impl<S: Database> Round<S> {
    /// All rounds against a master. `open` makes one anew after each.
    pub(super) async fn run<M: MasterSide>(
        self,
        open: impl Fn() -> M,
        mut look: QueueLook,
    ) -> anyhow::Result<()> {
        if !self.arguments.watch {
            let mut master = open();
            let round = self.once(&mut master, &mut look);
            let (reports, failed) = unless_stopped(round).await?;
            output::report(&reports, self.arguments.json)?;
            return verdict(&reports, failed);
        }
        let mut signals = Signals::new()?;
        let shutdown = Shutdown::new();
        tokio::select! {
            never = signals.stop(&shutdown) => match never {},
            () = shutdown.drain.cancelled() => Ok(()),
            ended = self.watch(open, look) => ended,
        }
    }

    async fn watch<M: MasterSide>(
        &self,
        open: impl Fn() -> M,
        mut look: QueueLook,
    ) -> anyhow::Result<()> {
        loop {
            let (reports, failed) = self.once(&mut open(), &mut look).await;
            if !reports.0.is_empty() {
                output::report(&reports, self.arguments.json)?;
            }
            for error in failed {
                tracing::error!(error = format!("{error:#}"), "this round could not be done");
            }
            tokio::time::sleep(self.arguments.every).await;
        }
    }

    async fn once<M: MasterSide>(
        &self,
        master: &mut M,
        look: &mut QueueLook,
    ) -> (Reports, Vec<anyhow::Error>) {
        let (mut reports, mut failed) = (Vec::new(), Vec::new());
        let losses = match self.losses().await {
            Ok(losses) => losses,
            Err(error) => return (Reports(reports), vec![error.into()]),
        };
        // Of a queue that is not there yet more would be lost, and nobody would know.
        if !losses.is_empty()
            && let Err(error) = look().await
        {
            failed.push(anyhow::Error::new(error).context("the lost queue is not there again"));
        }
        for cqrs_id in &self.cqrs_ids {
            let (store, models, options) = (&self.store, &self.models, &self.options);
            match Box::pin(reconcile(store, models, master, look, cqrs_id, options)).await {
                Ok(report) => {
                    report.export();
                    reports.push(report);
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    failed.push(error.context(format!("the model {cqrs_id}")));
                }
            }
        }
        let is_well = |report: &Reconciled| report.is_well() && report.late.is_empty();
        if failed.is_empty()
            && reports.iter().all(is_well)
            && let Err(error) = self.make_good(&losses).await
        {
            failed.push(error.into());
        }
        (Reports(reports), failed)
    }

    /// What a comparison of all models would make good.
    async fn losses(&self) -> Result<Vec<Loss>, StoreError> {
        if !self.arguments.which.all {
            return Ok(Vec::new());
        }
        let mut reader = self.store.reader().await?;
        let losses = reader.losses(&self.options.queue).await?;
        reader.close().await;
        Ok(losses)
    }

    async fn make_good(&self, losses: &[Loss]) -> Result<(), StoreError> {
        if losses.is_empty() {
            return Ok(());
        }
        let mut reader = self.store.reader().await?;
        let made_good = reader.make_good(losses).await?;
        reader.close().await;
        if made_good > 0 {
            let others = self.models.iter().map(|model| model.cqrs_id.as_str());
            let others: Vec<_> = others
                .filter(|cqrs_id| !self.cqrs_ids.iter().any(|one| one.as_str() == *cqrs_id))
                .collect();
            tracing::info!(
                not_compared = others.join(", "),
                "after the loss of the queue nothing is missing of the models that were compared"
            );
        }
        Ok(())
    }
}

fn verdict(reports: &Reports, mut failed: Vec<anyhow::Error>) -> anyhow::Result<()> {
    if let Some(last) = failed.pop() {
        for error in failed {
            tracing::error!(
                error = format!("{error:#}"),
                "a model could not be compared"
            );
        }
        return Err(last).context("not all could be compared");
    }
    let left: u64 = reports.0.iter().map(Reconciled::left).sum();
    if reports.0.iter().all(Reconciled::is_well) {
        return Ok(());
    }
    for report in &reports.0 {
        if let Some(refused) = report.refused {
            return Err(refused).with_context(|| format!("{} was not mended", report.cqrs_id));
        }
    }
    for report in &reports.0 {
        if left == 0 && !report.not_published.is_empty() {
            bail!(
                "`columns` of {} names {}, which the master does not publish: correct `columns`, or name it \
                 in `optional`",
                report.cqrs_id,
                report.not_published.join(", ")
            );
        }
    }
    match left {
        1 => bail!("1 row of this replica differs from the master's"),
        left => bail!("{left} rows of this replica differ from the master's"),
    }
}

/// One report for each model.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Reports(Vec<Reconciled>);

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
