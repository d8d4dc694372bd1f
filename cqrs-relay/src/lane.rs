//! A task that owns one publisher, and with it one connection to the broker.
//!
//! A slot is bound to one lane, and a lane sends one batch after the other, so that no row can
//! overtake an earlier one of its instance. A batch that was not sent, or whose fate is unknown, goes
//! back to the pump at once: while there is no connection nothing is with a publisher.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    Clock,
    transport::{Headers, Message, Outcome, Publisher, Transport, TransportError},
};
use cqrs_outbox::OutboxRow;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    RelayError, destination::routing, event::Event, meter, outage::Contact, tenure::Tenure,
};

/// How long saying good-bye to a broker may take.
const CLOSING: Duration = Duration::from_secs(1);

/// Rows to send, each the first unsent of its instance.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Which life of the window they belong to.
    pub(crate) life: u64,
    /// The rows.
    pub(crate) rows: Vec<OutboxRow>,
}

impl Batch {
    /// The rows whose outcomes are known, those outcomes, and the other rows.
    pub(crate) fn split(self, outcomes: Vec<Option<Outcome>>) -> (Self, Vec<Outcome>, Self) {
        let life = self.life;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        let mut words = Vec::new();
        let mut outcomes = outcomes.into_iter();
        for row in self.rows {
            if let Some(outcome) = outcomes.next().flatten() {
                known.push(row);
                words.push(outcome);
            } else {
                unknown.push(row);
            }
        }
        let batch = |rows| Self { life, rows };
        (batch(known), words, batch(unknown))
    }
}

/// What a lane tells the pump.
#[derive(Debug)]
pub(crate) enum LaneNews {
    /// It has a connection.
    Up,
    /// The broker's word on each row.
    Sent(Batch, Vec<Outcome>),
    /// The connection is lost, and with it the word on those rows that have no outcome.
    Lost(Batch, Vec<Option<Outcome>>),
    /// These were not sent: there is no connection, or the tenure has lapsed.
    Unsent(Batch),
}

#[derive(Debug)]
pub(crate) struct Lane<T> {
    pub(crate) number: usize,
    pub(crate) transport: T,
    pub(crate) contact: Contact,
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) batches: mpsc::UnboundedReceiver<Batch>,
    pub(crate) news: mpsc::UnboundedSender<Event>,
    /// How many rows may be sent at a time.
    pub(crate) limit: BatchLimit,
}

/// The pump or the whole relay is gone; there is nobody to report to.
struct Over;

impl<T: Transport> Lane<T> {
    /// Sends until told to stop.
    ///
    /// # Errors
    /// Only before it has ever had a connection, and only those that repeating does not help.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), RelayError> {
        loop {
            let connected = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                connected = self.connect() => connected?,
            };
            let Some(publisher) = connected else {
                return Ok(());
            };
            match self.send_all(publisher, &stop).await {
                Ok(()) => {}
                Err(Over) => return Ok(()),
            }
        }
    }

    /// A publisher, however long it takes; `None` when the pump is gone. Meanwhile batches go back.
    async fn connect(&mut self) -> Result<Option<T::Publisher>, RelayError> {
        loop {
            let answer = {
                let Self {
                    number,
                    transport,
                    contact,
                    batches,
                    news,
                    ..
                } = &mut *self;
                let attempt = async {
                    contact.pause().await;
                    transport.publisher().await
                };
                tokio::pin!(attempt);
                loop {
                    tokio::select! {
                        answer = &mut attempt => break answer,
                        batch = batches.recv() => {
                            let Some(batch) = batch else { return Ok(None) };
                            if news.send(Event::Lane(*number, LaneNews::Unsent(batch))).is_err() {
                                return Ok(None);
                            }
                        }
                    }
                }
            };
            match answer {
                Ok(publisher) => {
                    self.contact.connected();
                    return Ok(Some(publisher));
                }
                Err(error @ TransportError::Misconfigured { .. }) if !self.contact.is_proven() => {
                    return Err(RelayError::Transport(error));
                }
                Err(error) => self.contact.lost(&error),
            }
        }
    }

    /// Sends batch after batch on one connection, until it is lost or there is no more to do.
    async fn send_all(
        &mut self,
        mut publisher: T::Publisher,
        stop: &CancellationToken,
    ) -> Result<(), Over> {
        self.tell(LaneNews::Up)?;
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                batch = self.batches.recv() => batch,
            };
            let Some(batch) = batch else {
                // Whatever a slow broker makes of it, nothing depends on it.
                drop(tokio::time::timeout(CLOSING, publisher.close()).await);
                return Err(Over);
            };
            if !self.tenure.is_safe() {
                self.tell(LaneNews::Unsent(batch))?;
                continue;
            }
            let started = self.clock.monotonic();
            let mut outcomes = Vec::with_capacity(batch.rows.len());
            let sent = tokio::select! {
                biased;
                sent = self.limit.send(&mut publisher, &batch.rows, &mut outcomes) => sent,
                // A write that hangs must not come through when others have taken over.
                () = self.tenure.lapsed() => {
                    drop(publisher);
                    tracing::debug!(lane = self.number, "the lease lapsed during a write, connection dropped");
                    return self.tell(LaneNews::Lost(batch, outcomes));
                }
                // The pump has ended; nobody waits for the word.
                () = stop.cancelled() => return Err(Over),
            };
            trace(self.number, &batch.rows, &outcomes);
            match sent {
                Ok(()) => {
                    self.contact.works();
                    meter::publish_took(self.clock.monotonic().saturating_duration_since(started));
                    let outcomes = outcomes.into_iter().flatten().collect();
                    self.tell(LaneNews::Sent(batch, outcomes))?;
                }
                Err(error) => {
                    // Before others may send these rows.
                    drop(publisher);
                    self.contact.lost(&error);
                    return self.tell(LaneNews::Lost(batch, outcomes));
                }
            }
        }
    }

    fn tell(&self, news: LaneNews) -> Result<(), Over> {
        self.news
            .send(Event::Lane(self.number, news))
            .map_err(|_| Over)
    }
}

/// How many rows are sent at a time. A broker that gives no word on a batch in time may manage a
/// smaller one, and has fewer of them twice.
#[derive(Debug)]
pub(crate) struct BatchLimit(usize);

impl BatchLimit {
    pub(crate) const fn full() -> Self {
        Self(usize::MAX)
    }

    /// Sends rows, and notes what is known of each, in their order.
    ///
    /// Cancellation: the publisher is unusable; what is noted holds.
    async fn send<P: Publisher>(
        &mut self,
        publisher: &mut P,
        rows: &[OutboxRow],
        outcomes: &mut Vec<Option<Outcome>>,
    ) -> Result<(), TransportError> {
        while let Some(rest) = rows.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
            let count = self.0.min(rest.len());
            let messages: Vec<_> = rest[..count].iter().map(message).collect();
            match publisher.publish(&messages).await {
                Ok(known) => {
                    outcomes.extend(known.into_iter().map(Some));
                    self.0 = self.0.saturating_mul(2);
                }
                Err(lost) => {
                    outcomes.extend(lost.outcomes);
                    self.0 = (count / 2).max(1);
                    return Err(lost.error);
                }
            }
        }
        Ok(())
    }
}

/// The message of a row. The body is shared, not copied.
fn message(row: &OutboxRow) -> Message {
    Message {
        message_id: row.message_id,
        routing: routing(row),
        body: row.body.clone(),
        headers: Headers {
            trace: row.trace.clone(),
            counted: true,
            forced: row.forced,
        },
        timestamp: row.created_at,
    }
}

fn trace(lane: usize, rows: &[OutboxRow], outcomes: &[Option<Outcome>]) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    for (row, outcome) in rows.iter().zip(outcomes) {
        tracing::trace!(
            cqrs_id = %row.instance.cqrs_id,
            instance_pk = row.instance.instance_pk,
            revision = row.revision.0,
            message_id = %row.message_id,
            slot = row.slot.number(),
            lane,
            ?outcome,
            "sent"
        );
    }
}
