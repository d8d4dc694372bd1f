//! The one place that decides: what to read, what to send, what to settle.
//!
//! Everything slow is done by tasks that are told over channels and answer with an [`Event`]: a
//! [reader](crate::reader), a [settler](crate::settler), some [lanes](crate::lane). The pump itself
//! never waits for any of them, so fetching, publishing and settling overlap, and all bookkeeping
//! happens in one place and in one order.
//!
//! A *life* is what the window holds between two resets. After a reset nothing fetched or unsettled
//! is remembered but which rows the broker has confirmed, and of what tasks still say about it only
//! that is heard.
//!
//! A *series* is a row of fetches that go on from each other's position. It is begun anew when the
//! slots change, when rows were passed over that may go now, and now and then while there is nothing to do.

mod outcomes;
mod reads;
mod rows;
mod shares;

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cqrs_core::Slot;
use cqrs_outbox::{Epoch, OutboxRow, Position};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{reads::Reading, shares::Pauses};
use crate::{
    RelayConfig, RelayError, blocked::Blocked, desk::Desk, destination::Destinations, event::Event,
    lane::Batch, lease_keeper::Holding, poll::Poll, reader::Ask, settler::Entry, share::Share,
    tenure::Tenure, window::Window,
};

/// How many batches a lane has at most: one that it sends and one to go on with.
const BATCHES_OUT: usize = 2;
/// How many bytes of bodies a batch holds, at least one row aside.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// The pump's ends of all channels.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) asks: mpsc::UnboundedSender<Ask>,
    pub(crate) entries: mpsc::UnboundedSender<Entry>,
    pub(crate) lanes: Vec<mpsc::UnboundedSender<Batch>>,
    pub(crate) holding: watch::Receiver<Holding>,
    pub(crate) left: mpsc::UnboundedSender<(Slot, Epoch)>,
    pub(crate) busy: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(crate) struct Pump {
    config: RelayConfig,
    tenure: Arc<Tenure>,
    ends: Ends,

    share: Share,
    window: Window,
    blocked: Blocked,
    destinations: Destinations,
    desk: Desk,
    /// What was held when the settlement that is out was handed out.
    settling_under: Vec<(Slot, Epoch)>,
    lanes: Vec<LaneState>,

    life: u64,
    lapsed: bool,
    pauses: Pauses,
    reading: Option<Reading>,
    /// Whether the last question was about freed instances: a fetch that is due goes before the next
    /// such one.
    freed_last: bool,
    /// Settled while a read was out, whose answer may still hold them.
    settled_meanwhile: HashSet<i64>,
    position: Position,
    series_began: Instant,
    /// How long its fetches took until everything had been read once.
    series_took: Duration,
    series_at_end: bool,
    poll: Poll,
    /// When to look for rows whose retry is due.
    due_at: Option<Instant>,
    /// The mean length of the bodies fetched last.
    mean_len: usize,
    /// When it stops though something is in flight.
    stopping: Option<Instant>,
}

#[derive(Debug, Default)]
struct LaneState {
    up: bool,
    /// The lives of the batches it has.
    out: VecDeque<u64>,
}

impl Pump {
    pub(crate) fn new(config: RelayConfig, tenure: Arc<Tenure>, ends: Ends) -> Self {
        Self {
            share: Share::default(),
            window: Window::new(config.publishers),
            blocked: Blocked::default(),
            destinations: Destinations::new(config.destination_retry.clone()),
            desk: Desk::default(),
            settling_under: Vec::new(),
            lanes: ends.lanes.iter().map(|_| LaneState::default()).collect(),
            life: 0,
            lapsed: true,
            pauses: Pauses::default(),
            reading: None,
            freed_last: false,
            settled_meanwhile: HashSet::new(),
            position: Position::START,
            series_began: Instant::now(),
            series_took: Duration::ZERO,
            series_at_end: false,
            poll: Poll::new(config.poll_interval),
            due_at: None,
            mean_len: 0,
            stopping: None,
            config,
            tenure,
            ends,
        }
    }

    /// Works until told to drain, and then until nothing is in flight.
    ///
    /// # Errors
    /// [`RelayError::NotDrained`].
    ///
    /// Cancellation: safe, but what is in flight stays unsettled.
    pub(crate) async fn run(mut self, drain: CancellationToken) -> Result<(), RelayError> {
        loop {
            self.advance(Instant::now());
            if let Some(end) = self.end(Instant::now()) {
                return end;
            }
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = drain.cancelled(), if self.stopping.is_none() => self.begin_to_stop(),
                changed = self.ends.holding.changed() => match changed {
                    Ok(()) => self.agree(),
                    Err(_) => return Err(RelayError::TaskDied { task: "lease keeper", source: None }),
                },
                event = self.ends.events.recv() => match event {
                    Some(event) => self.hear(event),
                    None => return Err(RelayError::TaskDied { task: "lanes", source: None }),
                },
                () = sleep_until(wake) => {}
            }
            while let Ok(event) = self.ends.events.try_recv() {
                self.hear(event);
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Lane(lane, news) => self.hear_lane(lane, news),
            Event::Read(answer) => self.hear_read(answer),
            Event::Settled(answer) => self.hear_settled(answer),
        }
    }

    /// Starts whatever can be started. Never waits.
    fn advance(&mut self, now: Instant) {
        self.watch_tenure();
        if !self.lapsed {
            self.send(now);
            self.ask(now);
        }
        self.settle();
        self.leave();
        self.ends
            .busy
            .store(self.window.rows() > 0, Ordering::Relaxed);
    }

    /// Hands ready rows to lanes.
    fn send(&mut self, now: Instant) {
        for probe in self.destinations.due_probes(now) {
            self.window.put_back(vec![probe]);
        }
        if self.destinations.try_probeless(now) {
            self.begin_series();
            self.due_at = Some(now);
        }
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            while lane.up && lane.out.len() < BATCHES_OUT && !self.window.is_idle(number) {
                let admits = |row: &OutboxRow| self.destinations.admits(row);
                let rows = self
                    .window
                    .take(number, self.config.batch_size, BATCH_BYTES, admits);
                if rows.is_empty() {
                    break;
                }
                lane.out.push_back(self.life);
                // A lane that is gone ends the relay: the supervisor sees to it.
                drop(self.ends.lanes[number].send(Batch {
                    life: self.life,
                    rows,
                }));
            }
        }
    }

    /// Hands what is known to the settler.
    fn settle(&mut self) {
        if let Some(settlement) = self.desk.hand_out() {
            let held = self.share.epochs();
            self.settling_under.clone_from(&held);
            drop(self.ends.entries.send(Entry { settlement, held }));
        }
    }

    /// When something is to be done, should nothing happen before.
    fn wake_at(&self) -> Option<Instant> {
        if self.stopping.is_some() {
            return self.stopping;
        }
        if self.lapsed {
            return None;
        }
        let lapse = Instant::now() + self.tenure.remaining();
        let due = self.due_at.filter(|_| self.reading.is_none());
        let fetch = self.poll.next().filter(|_| self.may_fetch());
        [Some(lapse), due, fetch, self.destinations.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn begin_to_stop(&mut self) {
        tracing::info!(in_flight = self.window.busy_rows(), "stopping");
        self.stopping = Some(Instant::now() + self.config.drain_timeout);
        self.drop_unsent();
    }

    /// Whether the relay has stopped, and how well.
    fn end(&self, now: Instant) -> Option<Result<(), RelayError>> {
        let deadline = self.stopping?;
        let drained = self.desk.is_clear() && self.lanes.iter().all(|lane| lane.out.is_empty());
        let unsettled = self.window.busy_rows().max(self.desk.confirmed());
        if drained && unsettled == 0 {
            Some(Ok(()))
        } else if drained || now >= deadline {
            Some(Err(RelayError::NotDrained { unsettled }))
        } else {
            None
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// How long a row that could not be taken on waits before it is looked for again.
const SOON: Duration = Duration::from_secs(1);
