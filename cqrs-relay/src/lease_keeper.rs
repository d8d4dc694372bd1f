//! Keeps this relay known to the others and its share of the slots fair.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cqrs_core::{Slot, StoreError};
use cqrs_outbox::{Census, Epoch, OutboxSession, OutboxStore, Owner};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    RelayError, fair_share,
    fitness::Fitness,
    line::Line,
    meter,
    peers::{Living, Peers},
    tenure::Tenure,
};

/// What the relay holds, as its pump sees it.
pub(crate) type Holding = BTreeMap<Slot, Held>;

/// A slot held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Under which epoch.
    pub(crate) epoch: Epoch,
    /// Whether it is to be given back once nothing of it is in flight.
    pub(crate) leaving: bool,
}

/// Beats, looks around, takes free slots, asks the pump to leave surplus ones.
#[derive(Debug)]
pub(crate) struct LeaseKeeper<S> {
    pub(crate) line: Line<S>,
    pub(crate) me: Owner,
    pub(crate) lease: Duration,
    pub(crate) tenure: Arc<Tenure>,
    /// Whether the pump has anything to do.
    pub(crate) busy: Arc<AtomicBool>,
    /// Read by the pump. Told at each beat, since that also renews the tenure.
    pub(crate) holding: watch::Sender<Holding>,
    /// Slots that the pump has left.
    pub(crate) left: mpsc::UnboundedReceiver<(Slot, Epoch)>,
    pub(crate) peers: Peers,
    pub(crate) fitness: Fitness,
    pub(crate) hindered: Hindered,
}

/// Heartbeats that lose against the transactions of others.
#[derive(Debug, Default)]
pub(crate) struct Hindered {
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Hindered {
    /// A long transaction on `SQLite` is no trouble, one that takes this long is. Told once in as long.
    const TROUBLE: Duration = Duration::from_mins(1);

    fn lost_against(&mut self, error: &dyn std::error::Error) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if now - self.told.unwrap_or(since) >= Self::TROUBLE {
            self.told = Some(now);
            tracing::warn!(
                for_s = (now - since).as_secs(),
                error = crate::outage::chain(error),
                "another program keeps this relay from writing to the database; publishing pauses"
            );
        }
    }
}

impl<S: OutboxStore> LeaseKeeper<S> {
    /// Beats until told to stop, then gives everything back.
    ///
    /// # Errors
    /// See [`Line::session`].
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), RelayError> {
        let mut left = Vec::new();
        loop {
            let session = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                session = self.line.session() => session?,
            };
            match self.keep(session, &mut left, &stop).await {
                Ok(()) => return Ok(()),
                Err(error) => self.line.contact.lost(&error),
            }
        }
    }

    /// Beats on one session, until told to stop or until an error.
    async fn keep(
        &mut self,
        mut session: S::Session,
        left: &mut Vec<(Slot, Epoch)>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            let limit = session.renewal_limit(self.lease);
            let pause = match tokio::time::timeout(limit, self.beat(&mut session)).await {
                Ok(Err(StoreError::Conflict(error))) => {
                    self.hindered.lost_against(&*error);
                    self.lease / 20
                }
                Ok(living) => {
                    self.hindered = Hindered::default();
                    self.until_next(&living?)
                }
                Err(elapsed) => return Err(StoreError::Unavailable(elapsed.into())),
            };
            self.rest(&mut session, left, Instant::now() + pause, stop)
                .await?;
        }
        match session.retire(self.me).await {
            Ok(()) => tracing::info!(owner = %self.me.0, "retired, all slots given back"),
            Err(error) => tracing::warn!(
                error = crate::outage::chain(&error),
                "could not give the slots back; others take them when the lease runs out"
            ),
        }
        session.close().await;
        Ok(())
    }

    /// One beat, and what follows from its census. Cancellation: what took effect unseen is seen
    /// in the next census.
    async fn beat(&mut self, session: &mut S::Session) -> Result<Living, StoreError> {
        let sent = self.tenure.now();
        let publishing = self.fitness.look();
        let census = session.beat(self.me, self.lease, publishing).await?;
        self.line.contact.works();
        let living = self
            .peers
            .observe(self.me, &census, self.lease, self.tenure.now());
        let mut holding = self.holding.borrow().clone();
        let before: BTreeMap<_, _> = holding
            .iter()
            .map(|(slot, held)| (*slot, held.epoch))
            .collect();
        self.agree(&mut holding, &census);
        // In this order, or the pump would believe for a moment in slots that a peer took over.
        self.holding.send_replace(holding.clone());
        self.tenure.renew(sent);
        let leaving: BTreeSet<_> = holding
            .iter()
            .filter(|(_, held)| held.leaving)
            .map(|(slot, _)| *slot)
            .collect();
        let plan = fair_share::plan(self.me, &living, &census.leases, &leaving);
        if !plan.acquire.is_empty() {
            for (slot, epoch) in session.acquire(self.me, &plan.acquire).await? {
                holding.insert(
                    slot,
                    Held {
                        epoch,
                        leaving: false,
                    },
                );
            }
        }
        for slot in plan.surplus {
            if let Some(held) = holding.get_mut(&slot) {
                held.leaving = true;
            }
        }
        let after: BTreeMap<_, _> = holding
            .iter()
            .map(|(slot, held)| (*slot, held.epoch))
            .collect();
        if before != after {
            tracing::info!(
                owner = %self.me.0,
                held = holding.len(),
                relays = living.owners.len(),
                "slots have changed hands"
            );
        }
        meter::slots_held(holding.len());
        self.holding.send_replace(holding);
        Ok(living)
    }

    /// The database is right about who holds what.
    fn agree(&self, holding: &mut Holding, census: &Census) {
        let mine: BTreeMap<_, _> = census
            .leases
            .iter()
            .filter(|lease| lease.owner == Some(self.me))
            .map(|lease| (lease.slot, lease.epoch))
            .collect();
        holding.retain(|slot, held| mine.get(slot) == Some(&held.epoch));
        for (slot, epoch) in mine {
            holding.entry(slot).or_insert(Held {
                epoch,
                leaving: false,
            });
        }
    }

    /// Often enough for the tenure never to lapse by itself, seldom enough for an idle `SQLite`,
    /// and often when a peer misses a beat, so that its slots are taken as soon as they may be.
    fn until_next(&self, living: &Living) -> Duration {
        if living.falters {
            self.lease / 8
        } else if self.busy.load(Ordering::Relaxed) {
            self.lease / 4
        } else {
            self.lease * 9 / 20
        }
    }

    /// Waits for the next beat, giving back what the pump leaves.
    async fn rest(
        &mut self,
        session: &mut S::Session,
        left: &mut Vec<(Slot, Epoch)>,
        until: Instant,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        loop {
            while let Ok(more) = self.left.try_recv() {
                left.push(more);
            }
            // Kept over a failure: nobody else could take up slots that the table says are ours.
            if !left.is_empty() {
                session.release(self.me, left).await?;
                tracing::info!(slots = left.len(), "gave slots to another relay");
                self.holding.send_modify(|holding| {
                    for (slot, epoch) in left.drain(..) {
                        if holding.get(&slot).is_some_and(|held| held.epoch == epoch) {
                            holding.remove(&slot);
                        }
                    }
                });
            }
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                left = self.left.recv() => left,
                () = self.fitness.restored() => return Ok(()),
                () = tokio::time::sleep_until(until) => return Ok(()),
            };
            let Some(first) = first else {
                // The pump is gone; the supervisor says what happens next.
                stop.cancelled().await;
                return Ok(());
            };
            left.push(first);
        }
    }
}
