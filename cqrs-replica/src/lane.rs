//! A lane: applies its share of the messages, batch by batch, each batch in one transaction.
//!
//! All messages of an instance go to the same lane, in the order in which they came. A lane gives no
//! message back by itself: it repeats a batch until the database has taken it, in smaller pieces when
//! it fails again and again (a batch may be too much for the statement timeout), and reports the
//! messages as finished only then. It knows nothing of acknowledgements. What the receiver has given
//! back to the queue it lets go of, as soon as no statement is under way.
//!
//! A message that fails alone while the database answers otherwise is set aside as a letter, so that
//! it holds back no other instance: its row may be locked for long, or its statement always take too
//! long. A database that is lost sets nothing aside: the letter could not be stored there. What the
//! database answers for and yet does not keep in any form goes behind the others, unacknowledged.
//!
//! Cancellation: a lane may be dropped at any time; what it held was not reported and comes again.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cqrs_core::{Clock, SLOTS, Slot, StoreError, transport::DeliveryTag};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tracing::Instrument;

use crate::{
    Applied, Incoming, Models, ReplicaSession, ReplicaStore, WaitReason, WorkerConfig, WorkerError,
    letters,
    supervisor::{SupervisedSession, causes},
    worker::metrics,
};

/// How many bytes of bodies one transaction takes, unless a single one is larger.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// After how many failures in a row, the last of a message alone, it is set aside. More than the
/// conflicts that are repeated at once.
pub(crate) const PATIENCE: u32 = 4;

/// A message on its way to a lane.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ticket: Ticket,
    pub(crate) message: Incoming,
}

/// Which delivery of which subscriber a message came by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    /// The number of the subscriber: tags of an earlier one are void.
    pub(crate) epoch: u64,
    pub(crate) tag: DeliveryTag,
    /// About how much memory the message takes.
    pub(crate) bytes: usize,
}

/// The ways to the lanes. Dropping it ends them, once they have finished what they hold.
#[derive(Debug)]
pub(crate) struct Lanes {
    senders: Vec<mpsc::UnboundedSender<Job>>,
    /// Those that get messages.
    used: Vec<u16>,
    /// Messages of this subscriber and of earlier ones are the queue's again.
    given_back: watch::Sender<u64>,
}

impl Lanes {
    /// As many ways as lanes, all of them used. Unbounded: the receiver takes no more than the
    /// prefetch.
    pub(crate) fn new(count: u16) -> (Self, Vec<mpsc::UnboundedReceiver<Job>>) {
        let (senders, receivers) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let lanes = Self {
            senders,
            used: (0..count).collect(),
            given_back: watch::Sender::new(0),
        };
        (lanes, receivers)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u16 {
        u16::try_from(self.senders.len()).unwrap_or(u16::MAX)
    }

    /// Those that get messages.
    pub(crate) fn used(&self) -> &[u16] {
        &self.used
    }

    /// Uses these alone. Only while none of the present subscriber's messages is with a lane: those
    /// of an instance must not be with two.
    pub(crate) fn only(&mut self, lanes: Vec<u16>) {
        self.used = lanes;
    }

    /// The lanes let go of what this subscriber and earlier ones have brought.
    pub(crate) fn give_back(&self, epoch: u64) {
        self.given_back.send_replace(epoch);
    }

    /// Tells a lane what is given back.
    pub(crate) fn given_back(&self) -> watch::Receiver<u64> {
        self.given_back.subscribe()
    }

    /// Sends a message on its way. `false`: its lane is gone, and the worker is about to end.
    pub(crate) fn send(&self, job: Job) -> bool {
        let lane = lane_of(&job.message, self.used.len());
        let sender = self
            .used
            .get(lane)
            .and_then(|lane| self.senders.get(usize::from(*lane)));
        sender.is_some_and(|sender| sender.send(job).is_ok())
    }
}

/// The lane of a message: by its instance's slot; what cannot be read belongs to no instance and may
/// go anywhere.
fn lane_of(message: &Incoming, lanes: usize) -> usize {
    let slot = match &message.event {
        Some(event) => Slot::of(event.cqrs_id.as_str(), &event.key.canonical()).number(),
        None => u16::try_from(message.body.len() % usize::from(SLOTS)).unwrap_or(0),
    };
    usize::from(slot) % lanes.max(1)
}

pub(crate) struct Lane<S: ReplicaStore> {
    pub(crate) number: u16,
    pub(crate) session: SupervisedSession<S>,
    pub(crate) models: Models<S>,
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jobs: mpsc::UnboundedReceiver<Job>,
    /// The last subscriber whose messages were given back.
    pub(crate) given_back: watch::Receiver<u64>,
    /// Where finished messages are reported.
    pub(crate) finished: mpsc::UnboundedSender<Vec<Ticket>>,
    /// Wakes the task that looks after letters.
    pub(crate) letters: Arc<Notify>,
    pub(crate) pieces: Pieces,
}

impl<S: ReplicaStore> Lane<S> {
    /// Works until there is no more to come and all is done.
    ///
    /// # Errors
    /// [`WorkerError::Contract`].
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let mut batch = Batch::default();
        while self.fill(&mut batch).await {
            self.connect(&mut batch).await;
            if batch.messages.is_empty() {
                continue;
            }
            let count = self.pieces.portion(batch.messages.len());
            let began = Instant::now();
            match self.apply(&batch.messages[..count]).await {
                Ok(answers) if answers.len() == count => {
                    metrics::batch(count, began.elapsed());
                    self.finish(&mut batch, &answers);
                }
                Ok(answers) => {
                    return Err(WorkerError::Contract {
                        messages: count,
                        answers: answers.len(),
                    });
                }
                Err(error) => {
                    let why = causes(&error).join(": ");
                    self.pieces.failed(count);
                    self.session.failed(error).await;
                    let before = self.session.failures();
                    let kept = self.connect(&mut batch).await;
                    if self.session.failures() > before {
                        // It was away, which explains the failures.
                        self.pieces.forgive();
                    }
                    if kept && count == 1 && self.pieces.failures() >= PATIENCE {
                        self.set_aside(&mut batch, &why).await;
                    }
                }
            }
        }
        self.session.close().await;
        Ok(())
    }

    /// The first messages are done with.
    fn finish(&mut self, batch: &mut Batch, answers: &[Applied]) {
        self.session.succeeded();
        self.pieces.succeeded();
        let woken = self.session.has_woken();
        self.report(&batch.messages[..answers.len()], answers, woken);
        // Nobody listens any more when the worker is about to end.
        let _ = self.finished.send(batch.take(answers.len()));
    }

    /// Connects, however long that takes, and lets go of what is given back before or meanwhile.
    /// `false`: something was.
    async fn connect(&mut self, batch: &mut Batch) -> bool {
        let mut kept = self.keeps_all(batch);
        loop {
            tokio::select! {
                biased;
                _ = self.session.get() => return kept,
                Ok(()) = self.given_back.changed() => kept &= self.keeps_all(batch),
                job = self.jobs.recv(), if batch.messages.is_empty() => match job {
                    Some(job) => batch.add(job),
                    None => return kept,
                },
            }
        }
    }

    /// Lets go of what was given back. `true`: nothing was.
    fn keeps_all(&mut self, batch: &mut Batch) -> bool {
        let epoch = *self.given_back.borrow_and_update();
        let mut gone = batch.take_until(epoch);
        // What waits came after what is in hand.
        while batch.messages.is_empty()
            && let Ok(job) = self.jobs.try_recv()
        {
            if job.ticket.epoch <= epoch {
                gone.push(job.ticket);
            } else {
                batch.add(job);
            }
        }
        let kept = gone.is_empty();
        if !kept {
            // Nobody listens any more when the worker is about to end.
            let _ = self.finished.send(gone);
        }
        kept
    }

    /// Keeps the first message as a letter.
    async fn set_aside(&mut self, batch: &mut Batch, why: &str) {
        let message = &batch.messages[0];
        let session = self.session.get().await;
        match session
            .set_aside(&self.models, &self.config.apply, message, why)
            .await
        {
            Ok(answer) => self.finish(batch, &[answer]),
            Err(error) => {
                if let StoreError::Backend(_) = error {
                    // It comes again after the others, and stays unacknowledged until it is kept.
                    let error = causes(&error).join(": ");
                    tracing::error!(
                        message_id = message.message_id.map(tracing::field::display),
                        bytes = message.body.len(),
                        error,
                        "a message can be neither applied nor kept; others go first"
                    );
                    metrics::not_kept();
                    batch.postpone();
                }
                // The database takes nothing else either.
                self.pieces.forgive();
                self.session.failed(error).await;
            }
        }
    }

    /// Adds what has come; without anything in hand it waits. `false`: no more will come.
    async fn fill(&mut self, batch: &mut Batch) -> bool {
        let room = usize::from(self.config.batch_size);
        batch.drain(&mut self.jobs, room);
        if !batch.messages.is_empty() {
            // What was there at once: the lane is busy, and the next batch gathers meanwhile.
            return true;
        }
        let Some(first) = self.jobs.recv().await else {
            return false;
        };
        batch.add(first);
        let full = async {
            while batch.has_room(room) {
                match self.jobs.recv().await {
                    Some(job) => batch.add(job),
                    None => break,
                }
            }
        };
        // Out of time or full: both will do, and recv loses nothing.
        let _ = tokio::time::timeout(self.config.batch_wait, full).await;
        true
    }

    async fn apply(&mut self, messages: &[Incoming]) -> Result<Vec<Applied>, StoreError> {
        let session = self.session.get().await;
        let span = tracing::info_span!("batch", lane = self.number, messages = messages.len());
        session
            .apply(&self.models, &self.config.apply, messages)
            .instrument(span)
            .await
    }

    fn report(&self, messages: &[Incoming], answers: &[Applied], woken: bool) {
        let now = self.clock.now();
        let mut wake = woken;
        for (message, answer) in messages.iter().zip(answers) {
            wake |= match answer {
                // Nothing is done about one that is kept for a paused model before that goes on.
                Applied::Waiting(WaitReason::Paused)
                | Applied::Skipped(_)
                | Applied::Dead { .. } => false,
                Applied::Waiting(_) | Applied::Retrying { .. } => true,
                Applied::Applied { .. } => {
                    let event = message.event.as_deref();
                    if let Some(lag) = event.and_then(|event| (now - event.updated).to_std().ok()) {
                        metrics::lag(lag);
                    }
                    event.is_some_and(|event| letters::may_wait(&self.models, &event.cqrs_id))
                }
            };
        }
        if wake {
            self.letters.notify_one();
        }
    }
}

/// In how large pieces a lane applies what it holds.
#[derive(Debug)]
pub(crate) struct Pieces {
    limit: usize,
    /// How many have failed in a row.
    failures: u32,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            limit: usize::MAX,
            failures: 0,
        }
    }
}

impl Pieces {
    /// How many have failed in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// The failures so far were nothing special.
    pub(crate) const fn forgive(&mut self) {
        self.failures = 0;
    }

    /// How many of so many messages to apply at once.
    pub(crate) fn portion(&self, held: usize) -> usize {
        held.min(self.limit).max(1)
    }

    /// From the second failure in a row on, half as many each time.
    pub(crate) fn failed(&mut self, portion: usize) {
        self.failures = self.failures.saturating_add(1);
        if self.failures > 1 {
            self.limit = (portion / 2).max(1);
        }
    }

    /// Twice as many, but not all at once: what made the larger piece fail may still be to come.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.limit = self.limit.saturating_mul(2);
    }
}

/// What a lane holds, in the order in which it came.
#[derive(Debug, Default)]
struct Batch {
    messages: Vec<Incoming>,
    tickets: Vec<Ticket>,
    bytes: usize,
}

impl Batch {
    fn has_room(&self, room: usize) -> bool {
        self.messages.len() < room && self.bytes < MAX_BATCH_BYTES
    }

    fn add(&mut self, job: Job) {
        self.bytes += job.message.body.len();
        self.messages.push(job.message);
        self.tickets.push(job.ticket);
    }

    fn drain(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>, room: usize) {
        while self.has_room(room)
            && let Ok(job) = jobs.try_recv()
        {
            self.add(job);
        }
    }

    /// Removes the messages of this subscriber and of earlier ones.
    fn take_until(&mut self, epoch: u64) -> Vec<Ticket> {
        let mut gone = Vec::new();
        // One that was postponed lies behind later ones.
        let mut at = 0;
        while let Some(ticket) = self.tickets.get(at) {
            if ticket.epoch <= epoch {
                self.bytes -= self.messages.remove(at).body.len();
                gone.push(self.tickets.remove(at));
            } else {
                at += 1;
            }
        }
        gone
    }

    /// Puts the first message behind all others.
    fn postpone(&mut self) {
        self.messages.rotate_left(1);
        self.tickets.rotate_left(1);
    }

    /// Removes the first messages and answers with their tickets.
    fn take(&mut self, count: usize) -> Vec<Ticket> {
        self.bytes -= self
            .messages
            .drain(..count)
            .map(|message| message.body.len())
            .sum::<usize>();
        self.tickets.drain(..count).collect()
    }
}
