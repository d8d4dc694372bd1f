//! The worker: from a queue into a database.
//!
//! It guarantees that a message is acknowledged only when what became of it is durable, that the
//! messages of an instance are applied in the order in which they came, and that no message is
//! dropped. It does not guarantee that a message comes once, nor in order of revision, where workers
//! compete for a queue or a connection is lost: the apply rules of the [`ReplicaStore`] see to that.
//!
//! ```text
//! Subscriber -> receiver -> lane 0 -> session -> database
//!                  ^   \--> lane 1 -> session ->    "
//!                  '---------'  finished: acknowledged
//!               letters  (retries, waits, tombstones)
//!               publishing  (dead letters, of the models that want it)
//!               heartbeat
//! ```
//!
//! | failure | what happens |
//! |---|---|
//! | a message cannot be read or applied | a letter in its place, acknowledged; the store's business |
//! | database lost, locked, or in the way of a statement | the task pauses and repeats; nothing counts as an attempt |
//! | database away for 3 s | what no lane has applied is given back to the queue, for other workers; the worker subscribes again when the database answers |
//! | a lane without a connection for 10 s, others with one | given back likewise; the other lanes do its share until it has one |
//! | broker lost | connected anew; what the lanes hold is finished, then comes again and changes nothing |
//! | queue deleted | declared anew once `needs_reconcile` is stored |
//! | tables, rights or logins wrong at the start | the worker ends with the reason |
//! | the same while it runs | as a lost connection, with an error in the log |
//! | a panic | the worker ends with an error; what was not acknowledged comes again |

pub(crate) mod metrics;
mod receiver;
pub(crate) mod task;
#[cfg(test)]
mod tests;
pub(crate) mod vitals;
mod window;

use std::sync::Arc;

use cqrs_core::{
    Clock, CqrsId, RetryPolicy, StoreError,
    transport::{Subscription, Transport},
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    receiver::{Hand, Receiver},
    task::{Task, Tasks},
    vitals::Vitals,
    window::Window,
};
use crate::{
    InvalidConfig, Models, ReplicaSession, ReplicaStore, Shutdown, WorkerConfig, WorkerError,
    heartbeat::Heartbeat,
    lane::{Lane, Lanes, Pieces},
    letters::Letters,
    publishing::Publishing,
    supervisor::{Outages, Side, SupervisedSession},
};

/// Applies the messages of one queue to one database. Any number may share a queue.
#[derive(Debug)]
pub struct Worker<S: ReplicaStore, T: Transport> {
    store: S,
    transport: T,
    models: Models<S>,
    config: Arc<WorkerConfig>,
    clock: Arc<dyn Clock>,
    id: Uuid,
    started: CancellationToken,
}

impl<S: ReplicaStore, T: Transport> Worker<S, T> {
    /// A worker that has not started yet. `worker_id` must be new for each worker and each start.
    #[must_use]
    pub fn new(
        store: S,
        transport: T,
        models: Models<S>,
        config: WorkerConfig,
        clock: Arc<dyn Clock>,
        worker_id: Uuid,
    ) -> Self {
        Self {
            store,
            transport,
            models,
            config: Arc::new(config),
            clock,
            id: worker_id,
            started: CancellationToken::new(),
        }
    }

    /// Is cancelled once the worker has found its configuration, tables and database usable.
    #[cfg(feature = "cli")]
    pub(crate) fn started(&self) -> CancellationToken {
        self.started.clone()
    }

    /// Works until it is told to stop.
    ///
    /// After the soft stop it takes no more messages, finishes and acknowledges those it has, for
    /// `drain_timeout` at most, and removes its row from the database.
    ///
    /// # Errors
    /// At the start, when configuration, tables, database or broker are not usable, each with all
    /// problems found. Later, when a task panicked, or when the stop was too hard or the time too
    /// short to finish everything; the messages concerned come again.
    ///
    /// # Cancellation
    /// Dropping the future is the hard stop.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), WorkerError> {
        self.config.validate()?;
        if self.config.dead_letter_queue.is_none()
            && let Some(cqrs_id) = self.published().first()
        {
            let problem = format!(
                "the dead letters of {cqrs_id} are to be published, but there is no \
                 dead_letter_queue; name one"
            );
            return Err(InvalidConfig::one(problem).into());
        }
        let outages = Arc::new(Outages::new(Side::Database));
        match shutdown
            .drain
            .run_until_cancelled(self.check(&outages))
            .await
        {
            Some(checked) => checked?,
            None => return Ok(()),
        }
        tracing::info!(
            worker = %self.id,
            queue = %self.config.apply.queue,
            lanes = self.config.lanes,
            models = %self.model_names(),
            "the worker starts"
        );
        self.started.cancel();
        let vitals = Arc::new(Vitals::new());
        let drained = CancellationToken::new();
        let mut tasks = Tasks::default();
        let mut heart = Tasks::default();
        let beating = self.heartbeat(&outages, &vitals, &drained);
        heart.spawn(Task::Heartbeat, beating.run());
        self.spawn_work(&mut tasks, &outages, &vitals, &shutdown);

        let worked = tokio::select! {
            biased;
            worked = tasks.join() => worked,
            // It has no end of its own but a panic.
            ended = heart.join() => ended,
            error = out_of_time(&shutdown, &self.config, &vitals) => Err(error),
        };
        tasks.abort().await;
        worked?;
        drained.cancel();
        heart.join().await?;
        tracing::info!(worker = %self.id, "the worker has finished");
        Ok(())
    }

    /// Compares models and tables, once the database can be reached.
    async fn check(&self, outages: &Arc<Outages>) -> Result<(), WorkerError> {
        let mut database = self.session(Task::Start, outages);
        loop {
            let error = match self.store.session().await {
                Ok(mut session) => match session.check_models(&self.models).await {
                    Ok(()) => {
                        database.succeeded();
                        session.close().await;
                        return Ok(());
                    }
                    Err(error @ StoreError::Schema { .. }) => {
                        return Err(WorkerError::Models(error));
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if !error.is_transient() {
                return Err(WorkerError::Store(error));
            }
            database.failed(error).await;
        }
    }

    fn spawn_work(
        &self,
        tasks: &mut Tasks,
        outages: &Arc<Outages>,
        vitals: &Arc<Vitals>,
        shutdown: &Shutdown,
    ) {
        let (lanes, jobs) = Lanes::new(self.config.lanes);
        let (finished, results) = mpsc::unbounded_channel();
        let wake = Arc::new(Notify::new());
        for (number, jobs) in (0..).zip(jobs) {
            let lane = Lane {
                number,
                session: self.session(Task::Lane(number), outages),
                models: self.models.clone(),
                config: Arc::clone(&self.config),
                clock: Arc::clone(&self.clock),
                jobs,
                given_back: lanes.given_back(),
                finished: finished.clone(),
                letters: Arc::clone(&wake),
                pieces: Pieces::default(),
            };
            tasks.spawn(Task::Lane(number), lane.run());
        }
        let letters = Letters {
            session: self.session(Task::Letters, outages),
            models: self.models.clone(),
            config: Arc::clone(&self.config),
            wake,
            soft: shutdown.drain.clone(),
        };
        tasks.spawn(Task::Letters, letters.run());
        if let Some(publishing) = self.publishing(outages, shutdown) {
            tasks.spawn(Task::Publishing, publishing.run());
        }
        let receiver = Receiver {
            transport: self.transport.clone(),
            subscription: self.subscription(),
            budget: self.config.prefetch_bytes,
            window: Window::new(self.config.prefetch, self.config.prefetch_bytes),
            max_message_bytes: self.config.max_message_bytes,
            lanes,
            finished: results,
            clock: Arc::clone(&self.clock),
            vitals: Arc::clone(vitals),
            outages: Arc::new(Outages::new(Side::Broker)),
            database: Arc::clone(outages),
            heartbeat: self.config.heartbeat,
            retry: self.reconnect(),
            soft: shutdown.drain.clone(),
            hand: Hand::default(),
        };
        tasks.spawn(Task::Receiver, receiver.run());
    }

    /// What publishes the dead letters of the models that want it, if any does.
    fn publishing(&self, outages: &Arc<Outages>, shutdown: &Shutdown) -> Option<Publishing<S, T>> {
        let cqrs_ids = self.published();
        let queue = self.config.dead_letter_queue.clone()?;
        (!cqrs_ids.is_empty()).then(|| Publishing {
            session: self.session(Task::Publishing, outages),
            transport: self.transport.clone(),
            config: Arc::clone(&self.config),
            cqrs_ids,
            queue,
            outages: Arc::new(Outages::new(Side::Broker)),
            retry: self.reconnect(),
            soft: shutdown.drain.clone(),
        })
    }

    /// The models whose dead letters are published.
    fn published(&self) -> Vec<CqrsId> {
        self.models
            .iter()
            .filter(|model| model.publish_dead_letters)
            .map(|model| model.cqrs_id.clone())
            .collect()
    }

    fn heartbeat(
        &self,
        outages: &Arc<Outages>,
        vitals: &Arc<Vitals>,
        drained: &CancellationToken,
    ) -> Heartbeat<S> {
        Heartbeat {
            session: self.session(Task::Heartbeat, outages),
            worker: self.id,
            config: Arc::clone(&self.config),
            clock: Arc::clone(&self.clock),
            vitals: Arc::clone(vitals),
            drained: drained.clone(),
        }
    }

    fn session(&self, task: Task, outages: &Arc<Outages>) -> SupervisedSession<S> {
        SupervisedSession::new(
            self.store.clone(),
            task,
            Arc::clone(outages),
            self.reconnect(),
        )
    }

    fn reconnect(&self) -> RetryPolicy {
        self.config.reconnect.clone()
    }

    fn model_names(&self) -> String {
        let mut names: Vec<_> = self
            .models
            .iter()
            .map(|model| model.cqrs_id.as_str())
            .collect();
        names.sort_unstable();
        names.join(" ")
    }

    fn subscription(&self) -> Subscription {
        let mut cqrs_ids: Vec<_> = self
            .models
            .iter()
            .map(|model| model.cqrs_id.clone())
            .collect();
        cqrs_ids.sort();
        Subscription {
            queue: self.config.apply.queue.clone(),
            dead_letter_queue: self.config.dead_letter_queue.clone(),
            cqrs_ids,
            prefetch: self.config.prefetch,
        }
    }
}

/// Returns at the hard stop, or when the time to drain is over.
async fn out_of_time(shutdown: &Shutdown, config: &WorkerConfig, vitals: &Vitals) -> WorkerError {
    let drain = async {
        shutdown.drain.cancelled().await;
        tracing::info!(
            in_hand = vitals.in_hand(),
            "stopping: finishing what is in hand"
        );
        tokio::time::sleep(config.drain_timeout).await;
    };
    tokio::select! {
        biased;
        () = shutdown.stop.cancelled() => WorkerError::Stopped { in_hand: vitals.in_hand() },
        () = drain => WorkerError::NotDrained { in_hand: vitals.in_hand() },
    }
}
