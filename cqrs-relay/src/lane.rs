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

/// What a lane tells the pump.
#[derive(Debug)]
pub(crate) enum LaneNews {
    /// It has a connection.
    Up,
    /// The broker's word on each row.
    Sent(Batch, Vec<Outcome>),
    /// The connection is lost, and the fate of these rows unknown.
    Lost(Batch),
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
            let messages: Vec<_> = batch.rows.iter().map(message).collect();
            let started = self.clock.monotonic();
            let answer = tokio::select! {
                biased;
                answer = publisher.publish(&messages) => answer,
                // A write that hangs must not come through when others have taken over.
                () = self.tenure.lapsed() => {
                    tracing::warn!(lane = self.number, "the lease lapsed during a write, connection dropped");
                    return self.tell(LaneNews::Lost(batch));
                }
            };
            match answer {
                Ok(outcomes) => {
                    self.contact.works();
                    meter::publish_took(self.clock.monotonic().saturating_duration_since(started));
                    trace(self.number, &batch.rows, &outcomes);
                    self.tell(LaneNews::Sent(batch, outcomes))?;
                }
                Err(error) => {
                    self.contact.lost(&error);
                    return self.tell(LaneNews::Lost(batch));
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

fn trace(lane: usize, rows: &[OutboxRow], outcomes: &[Outcome]) {
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
