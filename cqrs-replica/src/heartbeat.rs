//! The worker's sign of life.

use std::{sync::Arc, time::Duration};

use cqrs_core::{Clock, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    ReplicaSession, ReplicaStore, WorkerBeat, WorkerConfig, WorkerError,
    supervisor::{SupervisedSession, chain},
    worker::vitals::Vitals,
};

/// How long a good shutdown waits for the database to hear of it.
const FAREWELL: Duration = Duration::from_secs(2);

pub(crate) struct Heartbeat<S: ReplicaStore> {
    pub(crate) session: SupervisedSession<S>,
    pub(crate) worker: Uuid,
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vitals: Arc<Vitals>,
    /// All else is done.
    pub(crate) drained: CancellationToken,
}

impl<S: ReplicaStore> Heartbeat<S> {
    /// Beats until all else is done, and then takes the worker's row away.
    ///
    /// # Errors
    /// None: a database that cannot be told is left as it is.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let drained = self.drained.clone();
        drained.run_until_cancelled(self.beat_for_ever()).await;
        // A beat that was cut short leaves its session unusable.
        self.session.reset();
        let problem = match tokio::time::timeout(FAREWELL, self.retire()).await {
            Ok(Ok(())) => {
                self.session.close().await;
                return Ok(());
            }
            Ok(Err(error)) => chain(&error),
            Err(elapsed) => chain(&elapsed),
        };
        tracing::warn!(error = problem, "the worker's row stays until it is old");
        Ok(())
    }

    async fn beat_for_ever(&mut self) {
        loop {
            match self.beat().await {
                Ok(()) => self.session.succeeded(),
                Err(error) => {
                    self.session.failed(error).await;
                    continue;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.heartbeat) => {}
                () = self.vitals.loss() => {}
            }
        }
    }

    /// One sign of life.
    async fn beat(&mut self) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        let beat = WorkerBeat {
            worker: self.worker,
            queue: self.config.apply.queue.clone(),
            oldest_unacked: self.vitals.oldest_unacked().map(|came| now - came),
            needs_reconcile: self.vitals.loss_unreported(),
        };
        self.session.get().await.beat(&beat).await?;
        if beat.needs_reconcile {
            self.vitals.loss_reported();
        }
        Ok(())
    }

    async fn retire(&mut self) -> Result<(), StoreError> {
        if self.vitals.loss_unreported() {
            self.beat().await?;
        }
        self.session.get().await.retire(self.worker).await
    }
}
