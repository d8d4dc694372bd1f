//! A lane of a load: applies its share of the rows, each batch in one transaction.
//!
//! As a worker's lane it gives nothing back: it repeats a batch until the database has taken it, in
//! smaller pieces when it fails again and again, and sets a row aside that fails alone while the
//! database answers.

use std::sync::Arc;

use cqrs_core::StoreError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    position::Position,
    report::{FailedLine, Report},
};
use crate::{
    Applied, ApplyPolicy, Incoming, Letter, Models, ReplicaSession, ReplicaStore,
    lane::{PATIENCE, Pieces},
    supervisor::{SupervisedSession, causes},
};

/// Rows in their order, with the lines that they stand in.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lines: Vec<u64>,
    messages: Vec<Incoming>,
    bytes: usize,
}

impl Batch {
    pub(super) fn add(&mut self, line: u64, message: Incoming) {
        self.bytes += message.body.len();
        self.lines.push(line);
        self.messages.push(message);
    }

    pub(super) const fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

pub(super) struct Lane<S: ReplicaStore> {
    pub(super) number: usize,
    pub(super) session: SupervisedSession<S>,
    pub(super) models: Models<S>,
    pub(super) policy: ApplyPolicy,
    pub(super) batches: mpsc::Receiver<Batch>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) position: Arc<Position>,
    pub(super) stop: CancellationToken,
}

impl<S: ReplicaStore> Lane<S> {
    /// Works until no more comes, or until it is to stop. Answers whether letters were made due.
    pub(super) async fn run(mut self) -> bool {
        let stop = self.stop.clone();
        let mut pieces = Pieces::default();
        let mut woke = false;
        while let Some(Some(batch)) = stop.run_until_cancelled(self.batches.recv()).await {
            if !self.apply(&batch, &mut pieces, &mut woke).await {
                break;
            }
            self.position.end(self.number);
        }
        self.session.close().await;
        woke
    }

    /// `false`: it was stopped before all was applied.
    async fn apply(&mut self, batch: &Batch, pieces: &mut Pieces, woke: &mut bool) -> bool {
        let stop = self.stop.clone();
        let mut from = 0;
        while from < batch.len() {
            let Some(session) = stop.run_until_cancelled(self.session.get()).await else {
                return false;
            };
            let to = from + pieces.portion(batch.len() - from);
            let rows = &batch.messages[from..to];
            match session.apply(&self.models, &self.policy, rows).await {
                Ok(answers) => {
                    self.session.succeeded();
                    pieces.succeeded();
                    *woke |= self.session.has_woken();
                    self.tell(&batch.lines[from..to], rows, &answers).await;
                    from = to;
                }
                Err(error) => {
                    let why = causes(&error).join(": ");
                    pieces.failed(rows.len());
                    let paused = stop.run_until_cancelled(self.session.failed(error)).await;
                    if paused.is_none() {
                        return false;
                    }
                    if rows.len() == 1 && pieces.failures() >= PATIENCE {
                        from += usize::from(self.set_aside(batch, from, &why, pieces).await);
                    }
                }
            }
        }
        true
    }

    /// Keeps a row as a letter, if the database can be reached and takes that. Answers whether it
    /// did.
    async fn set_aside(
        &mut self,
        batch: &Batch,
        at: usize,
        why: &str,
        pieces: &mut Pieces,
    ) -> bool {
        let stop = self.stop.clone();
        pieces.forgive();
        let before = self.session.failures();
        let connected = stop.run_until_cancelled(self.session.get()).await;
        // If the database was away, that explains the failures.
        if connected.is_none() || self.session.failures() > before {
            return false;
        }
        let row = &batch.messages[at];
        let session = self.session.get().await;
        let kept = session
            .set_aside(&self.models, &self.policy, row, why)
            .await;
        match kept {
            Ok(answer) => {
                self.session.succeeded();
                pieces.succeeded();
                let rows = std::slice::from_ref(row);
                self.tell(&batch.lines[at..=at], rows, &[answer]).await;
                true
            }
            Err(error) => {
                let _ = stop.run_until_cancelled(self.session.failed(error)).await;
                false
            }
        }
    }

    async fn tell(&mut self, lines: &[u64], rows: &[Incoming], answers: &[Applied]) {
        let mut report = Report::default();
        let mut failed = Vec::new();
        for ((line, row), answer) in lines.iter().zip(rows).zip(answers) {
            match answer {
                Applied::Applied { .. } => report.loaded += 1,
                Applied::Skipped(_) => report.not_newer += 1,
                Applied::Waiting(_) => report.waiting += 1,
                Applied::Retrying { reason, .. } | Applied::Dead { reason } => {
                    failed.push((*line, row, *reason));
                }
            }
        }
        if !failed.is_empty() {
            let letters = self.letters(failed.len()).await.unwrap_or_default();
            report
                .failed
                .extend(failed.into_iter().map(|(line, row, reason)| {
                    let letter = letters.iter().find(|letter| letter.body == row.body);
                    FailedLine {
                        line,
                        letter: letter.map(|letter| letter.id),
                        reason: reason.to_owned(),
                        error: letter.and_then(|letter| letter.error.clone()),
                    }
                }));
        }
        // Nobody listens any more when the load has failed.
        let _ = self.reports.send(report).await;
    }

    /// The latest letters, among which are those of the rows that have just failed.
    async fn letters(&mut self, count: usize) -> Result<Vec<Letter>, StoreError> {
        /// How many others may have come meanwhile.
        const OTHERS: usize = 100;
        let stop = self.stop.clone();
        let Some(session) = stop.run_until_cancelled(self.session.get()).await else {
            return Ok(Vec::new());
        };
        let limit = count * 4 + OTHERS;
        session.letter_list(&self.policy.queue, None, limit).await
    }
}
