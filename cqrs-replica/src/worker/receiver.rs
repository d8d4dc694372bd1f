//! The task that owns the subscriber: takes messages, sends them to their lanes, acknowledges them.
//!
//! Subscribers are numbered. When one is lost its tags are void: what the lanes report for it is
//! dropped, and the messages come again to the next one, where they change nothing.
//!
//! A worker without its database is no place for messages: it gives up its subscriber, so that
//! others get them, and subscribes again when the database answers.

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use cqrs_core::{
    Clock, RetryPolicy,
    transport::{Ack, Delivery, DeliveryTag, Subscriber, Subscription, Transport, TransportError},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    metrics,
    task::Task,
    vitals::Vitals,
    window::{self, Window},
};
use crate::{
    Incoming, WorkerError,
    acks::Acks,
    lane::{Job, Lanes, Ticket},
    supervisor::Outages,
};

/// How long a finished message waits for those before it to be finished, so that one word to the
/// broker does for all.
const STRAGGLER_WAIT: Duration = Duration::from_millis(50);

/// How often it is looked whether the lanes have their database.
const LOOK: Duration = Duration::from_millis(250);

/// A subscriber that lasted this long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(10);

pub(crate) struct Receiver<T: Transport> {
    pub(crate) transport: T,
    pub(crate) subscription: Subscription,
    /// How many bytes of messages may be in hand.
    pub(crate) budget: usize,
    pub(crate) window: Window,
    /// The longest body that is applied, in bytes.
    pub(crate) max_message_bytes: usize,
    pub(crate) lanes: Lanes,
    pub(crate) finished: mpsc::UnboundedReceiver<Vec<Ticket>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) outages: Arc<Outages>,
    /// The lanes' side.
    pub(crate) database: Arc<Outages>,
    /// The pause between two signs of life.
    pub(crate) heartbeat: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) soft: CancellationToken,
    pub(crate) hand: Hand,
}

/// What has been taken and not been acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    /// The number of the present subscriber, or of the last one.
    epoch: u64,
    acks: Acks,
    /// How many messages the lanes hold, whichever subscriber brought them.
    in_lanes: usize,
    /// About how much memory they take.
    bytes: usize,
    /// What earlier subscribers have brought of it.
    before: Option<Before>,
    /// Since when no message is taken: later ones wait with the driver.
    not_taking: Option<std::time::Instant>,
    /// When finished messages are acknowledged singly.
    stragglers_due: Option<Instant>,
}

/// Messages of earlier subscribers that are still with the lanes.
#[derive(Debug)]
struct Before {
    /// When the oldest came.
    oldest: std::time::Instant,
    count: usize,
}

/// Why a subscriber was given up that was not lost.
enum Served {
    /// The soft stop, and all is acknowledged.
    All,
    /// The lanes have no database for what it brings.
    NoDatabase,
}

impl<T: Transport> Receiver<T> {
    /// Works until the soft stop, and then until the lanes have finished what they hold.
    ///
    /// # Errors
    /// [`WorkerError::Transport`] when the very first connection is refused for good.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let soft = self.soft.clone();
        let (mut failures, mut never_connected) = (0_u32, true);
        while soft.run_until_cancelled(self.ready()).await.is_some() {
            self.subscription.prefetch = self.window.present();
            let connecting = self.transport.subscriber(&self.subscription);
            let Some(connected) = soft.run_until_cancelled(connecting).await else {
                break;
            };
            let error = match connected {
                Ok(subscriber) => {
                    never_connected = false;
                    if failures > 0 {
                        self.outages.recovered(Task::Receiver);
                    }
                    let began = Instant::now();
                    match self.consume(subscriber).await {
                        Ok(Served::All) => return Ok(()),
                        Ok(Served::NoDatabase) => {
                            failures = 0;
                            continue;
                        }
                        Err(error) => {
                            if began.elapsed() >= GOOD {
                                failures = 0;
                            }
                            error
                        }
                    }
                }
                Err(error @ TransportError::Misconfigured { .. }) if never_connected => {
                    return Err(WorkerError::Transport(error));
                }
                Err(error) => error,
            };
            failures += 1;
            self.lost(&error);
            drop(error);
            let pause = self.retry.delay(failures).unwrap_or(self.retry.max);
            soft.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        self.finish_without_subscriber().await;
        Ok(())
    }

    /// Returns when there is someone to do what a subscriber brings.
    async fn ready(&mut self) {
        self.absorb();
        // What the database does not know of a lost queue must not be forgotten by declaring a new.
        self.vitals.no_loss_unreported().await;
        loop {
            self.absorb();
            let usable = self.usable_lanes();
            if !usable.is_empty() {
                return self.lanes.only(usable);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Hears what the lanes have finished so far.
    fn absorb(&mut self) {
        while let Ok(tickets) = self.finished.try_recv() {
            self.hand.finished(&tickets);
        }
        self.report();
    }

    fn usable_lanes(&self) -> Vec<u16> {
        self.database
            .usable_lanes(self.lanes.count(), self.heartbeat)
    }

    fn lost(&self, error: &TransportError) {
        let TransportError::QueueGone { queue } = error else {
            return self.outages.failed(Task::Receiver, error);
        };
        self.vitals.queue_gone();
        metrics::queue_gone();
        tracing::error!(
            %queue,
            "the queue was deleted and is declared anew: what was in it is lost, and this replica \
             needs a reconcile"
        );
    }

    /// Serves one subscriber until it is lost or given up.
    async fn consume(&mut self, mut subscriber: T::Subscriber) -> Result<Served, TransportError> {
        self.hand.next_subscriber();
        tracing::info!(queue = %self.subscription.queue, "consuming");
        let served = self.serve(&mut subscriber).await;
        if let Ok(Served::NoDatabase) = served {
            tracing::warn!(
                queue = %self.subscription.queue,
                messages = self.hand.in_lanes,
                "without its database this worker gives its messages back to the queue"
            );
            self.lanes.give_back(self.hand.epoch);
        }
        self.hand.next_subscriber();
        self.report();
        let served = served?;
        subscriber.close().await;
        Ok(served)
    }

    async fn serve(&mut self, subscriber: &mut T::Subscriber) -> Result<Served, TransportError> {
        let soft = self.soft.clone();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Lanes that are to be used beside the present ones, once these are at rest.
        let mut more: Option<Vec<u16>> = None;
        loop {
            let stopping = soft.is_cancelled();
            if self.hand.in_lanes == 0 {
                if stopping {
                    return Ok(Served::All);
                }
                if let Some(lanes) = more.take() {
                    self.lanes.only(lanes);
                }
            }
            let limit = usize::from(self.window.present().get());
            let room = self.hand.in_lanes < limit && self.hand.bytes < self.budget;
            let taking = !stopping && more.is_none() && room;
            self.hand.taking(taking, self.clock.monotonic());
            let due = self.hand.stragglers_due;
            tokio::select! {
                biased;
                _ = look.tick() => {
                    let usable = self.usable_lanes();
                    if self.lanes.used().iter().any(|lane| !usable.contains(lane)) {
                        return Ok(Served::NoDatabase);
                    }
                    more = (usable.len() > self.lanes.used().len()).then_some(usable);
                }
                Some(tickets) = self.finished.recv() => {
                    self.hand.finished(&tickets);
                    self.absorb();
                    self.acknowledge(subscriber, limit / 4).await?;
                }
                () = soft.cancelled(), if !stopping => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.acknowledge(subscriber, 0).await?;
                }
                delivery = subscriber.next(), if taking => {
                    if let Some(prefetch) = self.take(delivery?) {
                        subscriber.set_prefetch(prefetch).await?;
                    }
                }
            }
            self.report();
        }
    }

    /// Gives a message to its lane. Answers when messages come in other sizes than before.
    fn take(&mut self, delivery: Delivery) -> Option<NonZeroU16> {
        metrics::received(delivery.redelivered);
        let (tag, body) = (delivery.tag, delivery.body.len());
        let message = Incoming::within(delivery, self.max_message_bytes);
        let bytes = window::cost(&message);
        let ticket = self.hand.took(tag, bytes, self.clock.monotonic());
        if !self.lanes.send(Job { ticket, message }) {
            tracing::debug!("a lane has ended; so will the worker");
        }
        self.window.took(body)
    }

    /// Acknowledges all before the lowest unfinished message, and those beyond it if they are more
    /// than `patience` or have waited long enough.
    async fn acknowledge(
        &mut self,
        subscriber: &mut T::Subscriber,
        patience: usize,
    ) -> Result<(), TransportError> {
        let hand = &mut self.hand;
        if let Some((ack, messages)) = hand.acks.take_leading() {
            subscriber.ack(ack).await?;
            metrics::acked(messages);
        }
        if hand.acks.held_back() == 0 {
            hand.stragglers_due = None;
        } else if hand.acks.held_back() > patience {
            hand.stragglers_due = None;
            for ack in hand.acks.take_stragglers() {
                debug_assert!(matches!(ack, Ack::One(_)));
                subscriber.ack(ack).await?;
                metrics::acked(1);
            }
        } else {
            hand.stragglers_due
                .get_or_insert_with(|| Instant::now() + STRAGGLER_WAIT);
        }
        Ok(())
    }

    /// After the soft stop, with the broker away: the lanes finish, and nobody is told.
    async fn finish_without_subscriber(&mut self) {
        while self.hand.in_lanes > 0
            && let Some(tickets) = self.finished.recv().await
        {
            self.hand.finished(&tickets);
            self.report();
        }
    }

    fn report(&self) {
        self.vitals.set_oldest_unacked(self.hand.oldest());
        self.vitals.set_in_hand(self.hand.in_lanes);
        metrics::in_hand(self.hand.in_lanes);
    }
}

impl Hand {
    /// All tags given so far are void.
    fn next_subscriber(&mut self) {
        self.epoch += 1;
        self.before = match (self.in_lanes, self.oldest()) {
            (0, _) | (_, None) => None,
            (count, Some(oldest)) => Some(Before { oldest, count }),
        };
        self.not_taking = None;
        self.acks = Acks::default();
        self.stragglers_due = None;
    }

    fn took(&mut self, tag: DeliveryTag, bytes: usize, at: std::time::Instant) -> Ticket {
        self.acks.came(tag, at);
        self.in_lanes += 1;
        self.bytes += bytes;
        Ticket {
            epoch: self.epoch,
            tag,
            bytes,
        }
    }

    fn finished(&mut self, tickets: &[Ticket]) {
        self.in_lanes -= tickets.len();
        for ticket in tickets {
            self.bytes -= ticket.bytes;
            if ticket.epoch == self.epoch {
                self.acks.finished(ticket.tag);
            } else if let Some(before) = &mut self.before {
                before.count -= 1;
            }
        }
        self.before.take_if(|before| before.count == 0);
    }

    /// Whether the driver is asked for messages.
    fn taking(&mut self, taking: bool, now: std::time::Instant) {
        self.not_taking = if taking {
            None
        } else {
            self.not_taking.or(Some(now))
        };
    }

    /// When the oldest message came that may not have been applied: of those that are taken, and of
    /// those that may wait with the driver.
    fn oldest(&self) -> Option<std::time::Instant> {
        let before = self.before.as_ref().map(|before| before.oldest);
        let known = [self.acks.oldest(), before, self.not_taking];
        known.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(hand: &mut Hand, tag: u64, at: std::time::Instant) -> Ticket {
        hand.took(DeliveryTag(tag), 10, at)
    }

    #[test]
    fn what_an_earlier_subscriber_brought_is_finished_but_not_acknowledged() {
        let mut hand = Hand::default();
        let now = std::time::Instant::now();
        hand.next_subscriber();
        let old = [took(&mut hand, 1, now), took(&mut hand, 2, now)];
        hand.next_subscriber();
        let new = [took(&mut hand, 1, now)];
        hand.finished(&old);
        assert_eq!((hand.in_lanes, hand.acks.take_leading()), (1, None));
        hand.finished(&new);
        assert_eq!((hand.in_lanes, hand.bytes), (0, 0));
        assert_eq!(
            hand.acks.take_leading(),
            Some((Ack::One(DeliveryTag(1)), 1))
        );
    }
    #[test]
    fn the_oldest_message_is_that_of_any_subscriber_taken_or_not() {
        let mut hand = Hand::default();
        let start = std::time::Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        hand.next_subscriber();
        let old = [took(&mut hand, 1, at(1)), took(&mut hand, 2, at(2))];
        hand.next_subscriber();
        assert_eq!(hand.oldest(), Some(at(1)), "a lane still has it");
        let new = took(&mut hand, 1, at(5));
        hand.next_subscriber();
        hand.finished(&old);
        assert_eq!(hand.oldest(), Some(at(1)), "a lane has one of the two");
        hand.finished(&[new]);
        assert_eq!(hand.oldest(), None);
        hand.taking(false, at(7));
        hand.taking(false, at(8));
        assert_eq!(hand.oldest(), Some(at(7)), "the driver may have one");
        hand.taking(true, at(9));
        assert_eq!(hand.oldest(), None);
    }
}
