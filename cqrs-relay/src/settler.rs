//! A task that owns the session which writes what became of rows, one settlement at a time.

use std::sync::Arc;

use cqrs_core::{Clock, Slot, StoreError};
use cqrs_outbox::{Epoch, OutboxSession, OutboxStore, Settled, Settlement};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    RelayError,
    event::Event,
    line::{CONFLICT_PAUSES, Line},
    meter,
    reader::Lost,
};

/// What to write, and for which slots to look whether they are still held.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) settlement: Settlement,
    pub(crate) held: Vec<(Slot, Epoch)>,
}

#[derive(Debug)]
pub(crate) struct Settler<S> {
    pub(crate) line: Line<S>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entries: mpsc::UnboundedReceiver<Entry>,
    pub(crate) news: mpsc::UnboundedSender<Event>,
}

impl<S: OutboxStore> Settler<S> {
    /// Settles until told to stop.
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
                let entry = tokio::select! {
                    biased;
                    () = stop.cancelled() => None,
                    entry = self.entries.recv() => entry,
                };
                let Some(entry) = entry else {
                    session.close().await;
                    return Ok(());
                };
                let started = self.clock.monotonic();
                match settle(&mut session, &entry).await {
                    Ok(settled) => {
                        self.line.contact.works();
                        let took = self.clock.monotonic().saturating_duration_since(started);
                        meter::settled(&settled, took);
                        // No pump, no settler: the supervisor ends both.
                        drop(self.news.send(Event::Settled(Ok(settled))));
                    }
                    Err(error) => {
                        self.line.contact.lost(&error);
                        drop(self.news.send(Event::Settled(Err(Lost))));
                        break;
                    }
                }
            }
        }
    }
}

async fn settle<S: OutboxSession>(session: &mut S, entry: &Entry) -> Result<Settled, StoreError> {
    for pause in CONFLICT_PAUSES {
        match session.settle(&entry.settlement, &entry.held).await {
            Err(StoreError::Conflict(_)) => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    session.settle(&entry.settlement, &entry.held).await
}
