//! The task that owns the subscriber: takes messages, sends them to their lanes, acknowledges them.
//!
//! Subscribers are numbered. When one is lost its tags are void: what the lanes report for it is
//! dropped, and the messages come again to the next one, where they change nothing.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    Clock, RetryPolicy,
    transport::{Ack, Delivery, Subscriber, Subscription, Transport, TransportError},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{metrics, task::Task, vitals::Vitals};
use crate::{
    Incoming, WorkerError,
    acks::Acks,
    lane::{Job, Lanes, Ticket},
    supervisor::Outages,
};

/// How long a finished message waits for those before it to be finished, so that one word to the
/// broker does for all.
const STRAGGLER_WAIT: Duration = Duration::from_millis(50);

/// A subscriber that lasted this long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(10);

pub(crate) struct Receiver<T: Transport> {
    pub(crate) transport: T,
    pub(crate) subscription: Subscription,
    /// The longest body that is applied, in bytes.
    pub(crate) max_message_bytes: usize,
    pub(crate) lanes: Lanes,
    pub(crate) finished: mpsc::UnboundedReceiver<Vec<Ticket>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) outages: Arc<Outages>,
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
    /// When finished messages are acknowledged singly.
    stragglers_due: Option<Instant>,
}

impl<T: Transport> Receiver<T> {
    /// Works until the soft stop, and then until the lanes have finished what they hold.
    ///
    /// # Errors
    /// [`WorkerError::Transport`] when the very first connection is refused for good.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let soft = self.soft.clone();
        let (mut failures, mut never_connected) = (0_u32, true);
        // What the database does not know of a lost queue must not be forgotten by declaring a new.
        while soft
            .run_until_cancelled(self.vitals.no_loss_unreported())
            .await
            .is_some()
        {
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
                    let Err(error) = self.consume(subscriber).await else {
                        return Ok(());
                    };
                    if began.elapsed() >= GOOD {
                        failures = 0;
                    }
                    error
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

    /// Serves one subscriber until it is lost, or until the soft stop and the last acknowledgement.
    async fn consume(&mut self, mut subscriber: T::Subscriber) -> Result<(), TransportError> {
        self.hand.next_subscriber();
        tracing::info!(queue = %self.subscription.queue, "consuming");
        let served = self.serve(&mut subscriber).await;
        self.hand.next_subscriber();
        self.vitals.set_oldest_unacked(None);
        served?;
        subscriber.close().await;
        Ok(())
    }

    async fn serve(&mut self, subscriber: &mut T::Subscriber) -> Result<(), TransportError> {
        let limit = usize::from(self.subscription.prefetch.get());
        let soft = self.soft.clone();
        loop {
            let taking = !soft.is_cancelled();
            if !taking && self.hand.in_lanes == 0 {
                return Ok(());
            }
            let due = self.hand.stragglers_due;
            tokio::select! {
                biased;
                Some(tickets) = self.finished.recv() => {
                    self.hand.finished(&tickets);
                    while let Ok(tickets) = self.finished.try_recv() {
                        self.hand.finished(&tickets);
                    }
                    self.acknowledge(subscriber, limit / 4).await?;
                }
                () = soft.cancelled(), if taking => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.acknowledge(subscriber, 0).await?;
                }
                delivery = subscriber.next(), if taking && self.hand.in_lanes < limit => {
                    self.take(delivery?);
                }
            }
            self.report();
        }
    }

    fn take(&mut self, delivery: Delivery) {
        metrics::received(delivery.redelivered);
        let ticket = self.hand.took(&delivery, self.clock.monotonic());
        let job = Job {
            ticket,
            message: Incoming::within(delivery, self.max_message_bytes),
        };
        if !self.lanes.send(job) {
            tracing::debug!("a lane has ended; so will the worker");
        }
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
        self.vitals.set_oldest_unacked(self.hand.acks.oldest());
        self.vitals.set_in_hand(self.hand.in_lanes);
        metrics::in_hand(self.hand.in_lanes);
    }
}

impl Hand {
    /// All tags given so far are void.
    fn next_subscriber(&mut self) {
        self.epoch += 1;
        self.acks = Acks::default();
        self.stragglers_due = None;
    }

    fn took(&mut self, delivery: &Delivery, at: std::time::Instant) -> Ticket {
        self.acks.came(delivery.tag, at);
        self.in_lanes += 1;
        Ticket {
            epoch: self.epoch,
            tag: delivery.tag,
        }
    }

    fn finished(&mut self, tickets: &[Ticket]) {
        self.in_lanes -= tickets.len();
        for ticket in tickets.iter().filter(|ticket| ticket.epoch == self.epoch) {
            self.acks.finished(ticket.tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cqrs_core::transport::{DeliveryTag, Headers};

    use super::*;

    fn delivery(tag: u64) -> Delivery {
        Delivery {
            tag: DeliveryTag(tag),
            message_id: None,
            routing_key: "account".to_owned(),
            body: Bytes::new(),
            headers: Headers::default(),
            redelivered: false,
        }
    }

    #[test]
    fn what_an_earlier_subscriber_brought_is_finished_but_not_acknowledged() {
        let mut hand = Hand::default();
        let now = std::time::Instant::now();
        hand.next_subscriber();
        let old = [hand.took(&delivery(1), now), hand.took(&delivery(2), now)];
        hand.next_subscriber();
        let new = [hand.took(&delivery(1), now)];
        hand.finished(&old);
        assert_eq!((hand.in_lanes, hand.acks.take_leading()), (1, None));
        hand.finished(&new);
        assert_eq!(hand.in_lanes, 0);
        assert_eq!(
            hand.acks.take_leading(),
            Some((Ack::One(DeliveryTag(1)), 1))
        );
    }
}
