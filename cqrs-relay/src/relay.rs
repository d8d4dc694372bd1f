//! A relay as a whole: its tasks, and who outlives whom.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use cqrs_core::{Clock, transport::Transport};
use cqrs_outbox::{OutboxStore, Owner};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    RelayConfig, RelayError, Shutdown,
    fitness::Fitness,
    lane::{BatchLimit, Lane},
    lease_keeper::{Hindered, Holding, LeaseKeeper},
    line::Line,
    outage::FarSide,
    peers::Peers,
    pump::{Ends, Pump},
    reader::Reader,
    settler::Settler,
    tenure::Tenure,
};

/// How long the other tasks may take to end once the pump has.
const ENDING: Duration = Duration::from_secs(5);

/// Forwards an outbox to a broker.
///
/// Guarantees: every row is sent at least once, confirmed, or can be seen among the dead; the first
/// deliveries of the events of one instance come in revision order, with any number of relays on the
/// same outbox, joining, pausing and dying. Needs no leader and no name: relays share out the slots
/// among themselves.
///
/// ```no_run
/// # async fn forward<S: cqrs_outbox::OutboxStore, T: cqrs_core::transport::Transport>(
/// #     store: S, broker: T, owner: cqrs_outbox::Owner,
/// # ) -> Result<(), cqrs_relay::RelayError> {
/// use std::sync::Arc;
///
/// use cqrs_core::SystemClock;
/// use cqrs_relay::{Relay, RelayConfig, Shutdown};
///
/// let shutdown = Shutdown::new();
/// let relay = Relay::new(store, broker, RelayConfig::default(), Arc::new(SystemClock), owner);
/// relay.run(shutdown).await
/// # }
/// ```
#[derive(Debug)]
pub struct Relay<S, T> {
    store: S,
    transport: T,
    config: RelayConfig,
    clock: Arc<dyn Clock>,
    owner: Owner,
}

impl<S: OutboxStore, T: Transport> Relay<S, T> {
    /// A relay that does nothing yet. `owner` must be new at each start of a process: see
    /// [`new_owner`](crate::new_owner).
    #[must_use]
    pub fn new(
        store: S,
        transport: T,
        config: RelayConfig,
        clock: Arc<dyn Clock>,
        owner: Owner,
    ) -> Self {
        Self {
            store,
            transport,
            config,
            clock,
            owner,
        }
    }

    /// Forwards until told to stop. Lost connections are made anew, for ever.
    ///
    /// # Errors
    /// [`RelayError`]: settings or logins that cannot work; a stop that was not clean; a defect.
    ///
    /// Cancellation: like [`Shutdown::stop`]. Nothing is lost; the slots are free once the lease has
    /// run out, and rows in flight are sent again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), RelayError> {
        self.config.validate()?;
        tracing::info!(owner = %self.owner.0, "relay starts");
        let mut tasks = Tasks::start(self, shutdown.drain);
        let ended = tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => Err(RelayError::Stopped),
            ended = tasks.supervise() => ended,
        };
        tasks.set.shutdown().await;
        match &ended {
            Ok(()) => tracing::info!("relay stopped, nothing in flight"),
            Err(error) => tracing::debug!(error = crate::outage::chain(error), "relay ended"),
        }
        ended
    }
}

/// The tasks of a running relay. Dropping it ends them all.
struct Tasks {
    set: JoinSet<Result<(), RelayError>>,
    names: HashMap<Id, &'static str>,
    pump: Option<Id>,
    stop: CancellationToken,
}

impl Tasks {
    fn start<S: OutboxStore, T: Transport>(relay: Relay<S, T>, drain: CancellationToken) -> Self {
        let Relay {
            store,
            transport,
            config,
            clock,
            owner,
        } = relay;
        let tenure = Arc::new(Tenure::new(Arc::clone(&clock), config.lease));
        let busy = Arc::new(AtomicBool::new(false));
        let restored = Arc::new(Notify::new());
        let side = |name| {
            let (clock, retry) = (Arc::clone(&clock), config.reconnect.clone());
            FarSide::new(name, clock, retry, Arc::clone(&restored))
        };
        let (database, broker) = (side("database"), side("broker"));
        let session = || Line::new(store.clone(), database.contact());
        let (news, events) = mpsc::unbounded_channel();
        let (asks, asked) = mpsc::unbounded_channel();
        let (entries, entered) = mpsc::unbounded_channel();
        let (left, leaves) = mpsc::unbounded_channel();
        let (told, holding) = watch::channel(Holding::new());
        let stop = CancellationToken::new();
        let mut tasks = Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            pump: None,
            stop: stop.clone(),
        };

        let keeper = LeaseKeeper {
            line: session(),
            me: owner,
            lease: config.lease,
            tenure: Arc::clone(&tenure),
            busy: Arc::clone(&busy),
            holding: told,
            left: leaves,
            peers: Peers::default(),
            hindered: Hindered::default(),
            fitness: Fitness::new(
                vec![Arc::clone(&database), Arc::clone(&broker)],
                config.lease,
                Arc::clone(&restored),
            ),
        };
        tasks.helper("lease keeper", keeper.run(stop.clone()));
        let reader = Reader {
            line: session(),
            asks: asked,
            news: news.clone(),
        };
        tasks.helper("reader", reader.run(stop.clone()));
        let settler = Settler {
            line: session(),
            clock: Arc::clone(&clock),
            entries: entered,
            news: news.clone(),
        };
        tasks.helper("settler", settler.run(stop.clone()));
        let mut lanes = Vec::new();
        for number in 0..usize::from(config.publishers) {
            let (sender, batches) = mpsc::unbounded_channel();
            lanes.push(sender);
            let lane = Lane {
                number,
                transport: transport.clone(),
                contact: broker.contact(),
                tenure: Arc::clone(&tenure),
                clock: Arc::clone(&clock),
                batches,
                news: news.clone(),
                limit: BatchLimit::full(),
            };
            tasks.helper("lane", lane.run(stop.clone()));
        }
        let ends = Ends {
            events,
            asks,
            entries,
            lanes,
            holding,
            left,
            busy,
        };
        let pump = tasks
            .set
            .spawn(Pump::new(config, tenure, ends).run(drain))
            .id();
        tasks.names.insert(pump, "pump");
        tasks.pump = Some(pump);
        tasks
    }

    /// Starts a task that serves the pump. One that sees the pump go ends only when told to, so that
    /// how the pump ended is heard first.
    fn helper(
        &mut self,
        name: &'static str,
        run: impl Future<Output = Result<(), RelayError>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        let task = async move {
            run.await?;
            stop.cancelled().await;
            Ok(())
        };
        self.names.insert(self.set.spawn(task).id(), name);
    }

    /// Waits for the pump, the one task that may end, then for the others to end in good order.
    async fn supervise(&mut self) -> Result<(), RelayError> {
        let drained = match self.set.join_next_with_id().await {
            Some(Ok((id, ended))) if Some(id) == self.pump => ended,
            Some(Ok((_, Err(error)))) => return Err(error),
            Some(Ok((id, Ok(())))) => return Err(self.died(id, None)),
            Some(Err(error)) => return Err(self.died(error.id(), Some(error))),
            None => return Ok(()),
        };
        self.stop.cancel();
        let others = async {
            while let Some(ended) = self.set.join_next_with_id().await {
                match ended {
                    Ok((_, ended)) => ended?,
                    Err(error) => return Err(self.died(error.id(), Some(error))),
                }
            }
            Ok(())
        };
        if let Ok(ended) = tokio::time::timeout(ENDING, others).await {
            drained.and(ended)
        } else {
            tracing::warn!("the relay's connections did not close in time");
            drained
        }
    }

    fn died(&self, id: Id, source: Option<JoinError>) -> RelayError {
        let task = self.names.get(&id).copied().unwrap_or("unknown");
        RelayError::TaskDied { task, source }
    }
}
