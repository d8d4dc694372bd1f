//! A task that owns the session which reads the outbox, and answers one question at a time.

use cqrs_core::{CqrsId, Slot, StoreError};
use cqrs_outbox::{Due, Fetched, Instance, OutboxRow, OutboxSession, OutboxStore, Position};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    RelayError,
    event::Event,
    line::{CONFLICT_PAUSES, Line},
};

/// A question about the outbox.
#[derive(Debug)]
pub(crate) enum Ask {
    Fetch {
        without: Vec<CqrsId>,
        slots: Vec<Slot>,
        after: Position,
        limit: usize,
    },
    Blocked {
        slots: Vec<Slot>,
    },
    Due {
        slots: Vec<Slot>,
        limit: usize,
    },
    OfInstances {
        instances: Vec<Instance>,
        limit: usize,
    },
}

/// The answer, in the same order.
#[derive(Debug)]
pub(crate) enum Answer {
    Fetched(Fetched),
    Blocked(Vec<Instance>),
    Due(Due),
    OfInstances(Vec<OutboxRow>),
}

/// The session was lost before it answered. Whatever was fetched or is unsettled is to be
/// forgotten.
#[derive(Debug)]
pub(crate) struct Lost;

#[derive(Debug)]
pub(crate) struct Reader<S> {
    pub(crate) line: Line<S>,
    pub(crate) asks: mpsc::UnboundedReceiver<Ask>,
    pub(crate) news: mpsc::UnboundedSender<Event>,
}

impl<S: OutboxStore> Reader<S> {
    /// Answers until told to stop.
    ///
    /// # Errors
    /// See [`Line::session`].
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), RelayError> {
        loop {
            let mut session = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                session = self.line.session() => session?,
            };
            loop {
                let ask = tokio::select! {
                    biased;
                    () = stop.cancelled() => None,
                    ask = self.asks.recv() => ask,
                };
                let Some(ask) = ask else {
                    session.close().await;
                    return Ok(());
                };
                match answer(&mut session, &ask).await {
                    Ok(answer) => {
                        self.line.contact.works();
                        // No pump, no reader: the supervisor ends both.
                        drop(self.news.send(Event::Read(Ok(answer))));
                    }
                    Err(error) => {
                        self.line.contact.lost(&error);
                        drop(self.news.send(Event::Read(Err(Lost))));
                        break;
                    }
                }
            }
        }
    }
}

async fn answer<S: OutboxSession>(session: &mut S, ask: &Ask) -> Result<Answer, StoreError> {
    for pause in CONFLICT_PAUSES {
        match answer_once(session, ask).await {
            Err(StoreError::Conflict(_)) => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    answer_once(session, ask).await
}

async fn answer_once<S: OutboxSession>(session: &mut S, ask: &Ask) -> Result<Answer, StoreError> {
    Ok(match ask {
        Ask::Fetch {
            without,
            slots,
            after,
            limit,
        } => Answer::Fetched(session.fetch_without(without, slots, after, *limit).await?),
        Ask::Blocked { slots } => Answer::Blocked(session.blocked(slots).await?),
        Ask::Due { slots, limit } => Answer::Due(session.due(slots, *limit).await?),
        Ask::OfInstances { instances, limit } => {
            Answer::OfInstances(session.of_instances(instances, *limit).await?)
        }
    })
}
