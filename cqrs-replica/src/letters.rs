//! Looks after the letters: takes up those that are due, and forgets old ones and old tombstones.

use std::{sync::Arc, time::Duration};

use cqrs_core::{CqrsId, StoreError};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Applied, DueLetters, LetterState, Models, ReplicaSession, ReplicaStore, WorkerConfig,
    WorkerError, supervisor::SupervisedSession, worker::metrics,
};

/// How many letters one transaction takes up.
const LETTERS: usize = 100;

/// The shortest pause between two looks, however often the lanes call.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// How often tombstones and letters are pruned, how many in one statement, and how many statements in a row.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
const PRUNE_LIMIT: usize = 1_000;
const PRUNE_ROUNDS: usize = 100;

/// Whether a later event of this model may wait for the one just applied.
pub(crate) fn may_wait<S: ReplicaStore>(models: &Models<S>, cqrs_id: &CqrsId) -> bool {
    models
        .get(cqrs_id)
        .is_some_and(|model| model.target.in_step())
}

pub(crate) struct Letters<S: ReplicaStore> {
    pub(crate) session: SupervisedSession<S>,
    pub(crate) models: Models<S>,
    pub(crate) config: Arc<WorkerConfig>,
    /// A lane has stored a letter, or applied what one may wait for.
    pub(crate) wake: Arc<Notify>,
    pub(crate) soft: CancellationToken,
}

impl<S: ReplicaStore> Letters<S> {
    /// Works until the soft stop; a call in progress is finished first.
    ///
    /// Looks are frequent after a call of a lane and become rarer up to `letter_interval`, for what
    /// only peers and operators know: they too store letters, apply predecessors and order retries.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let soft = self.soft.clone();
        let mut pause = SHORTEST_PAUSE;
        let mut prune_at = Instant::now();
        while soft.run_until_cancelled(self.session.get()).await.is_some() {
            let worked = match self.look(&mut prune_at).await {
                Ok(due) => {
                    self.session.succeeded();
                    due
                }
                Err(error) => {
                    if soft
                        .run_until_cancelled(self.session.failed(error))
                        .await
                        .is_none()
                    {
                        break;
                    }
                    continue;
                }
            };
            pause = if progress(&worked) {
                SHORTEST_PAUSE
            } else {
                pause * 2
            };
            pause = pause
                .min(self.config.letter_interval)
                .min(worked.next.unwrap_or(pause));
            let wait = wait(pause.max(SHORTEST_PAUSE), &self.wake);
            match soft.run_until_cancelled(wait).await {
                Some(true) => pause = SHORTEST_PAUSE,
                Some(false) => {}
                None => break,
            }
        }
        self.session.close().await;
        Ok(())
    }

    /// One look: all that is due, and what is to be forgotten when it is time.
    async fn look(&mut self, prune_at: &mut Instant) -> Result<DueLetters, StoreError> {
        let due = loop {
            let session = self.session.get().await;
            let due = session
                .apply_due(&self.models, &self.config.apply, LETTERS)
                .await?;
            let more = due.next == Some(Duration::ZERO) && progress(&due);
            if !more || self.soft.is_cancelled() {
                break due;
            }
        };
        if *prune_at <= Instant::now() {
            // One that takes too long is not repeated at once: the letters have to go on.
            *prune_at = Instant::now() + PRUNE_INTERVAL;
            self.prune().await?;
        }
        Ok(due)
    }

    async fn prune(&mut self) -> Result<(), StoreError> {
        for _ in 0..PRUNE_ROUNDS {
            let (queue, ttl) = (&self.config.apply.queue, self.config.tombstone_ttl);
            let session = self.session.get().await;
            let pruned = session.prune_tombstones(queue, ttl, PRUNE_LIMIT).await?;
            metrics::tombstones_pruned(pruned);
            if pruned < PRUNE_LIMIT as u64 || self.soft.is_cancelled() {
                break;
            }
        }
        let config = Arc::clone(&self.config);
        let closed = config
            .dead_letter_ttl
            .map_or(config.tombstone_ttl, |ttl| ttl.min(config.tombstone_ttl));
        for state in [
            LetterState::Resolved,
            LetterState::Superseded,
            LetterState::Discarded,
        ] {
            self.prune_letters(state, closed).await?;
        }
        if let Some(ttl) = config.dead_letter_ttl {
            self.prune_letters(LetterState::Dead, ttl).await?;
        }
        Ok(())
    }

    async fn prune_letters(&mut self, state: LetterState, ttl: Duration) -> Result<(), StoreError> {
        for _ in 0..PRUNE_ROUNDS {
            if self.soft.is_cancelled() {
                break;
            }
            let queue = &self.config.apply.queue;
            let session = self.session.get().await;
            let pruned = session
                .prune_letters(queue, state, ttl, PRUNE_LIMIT)
                .await?;
            metrics::letters_pruned(state, pruned);
            if pruned < PRUNE_LIMIT as u64 {
                break;
            }
        }
        Ok(())
    }
}

/// Whether another look may find what this one has made due.
fn progress(due: &DueLetters) -> bool {
    let settled = |answer: &Applied| {
        matches!(
            answer,
            Applied::Applied { .. } | Applied::Skipped(_) | Applied::Dead { .. }
        )
    };
    due.applied.iter().any(settled)
}

/// Waits for a call or the end of the pause; `true`: it was a call. No call is lost, and none is
/// answered before the shortest pause.
async fn wait(pause: Duration, wake: &Notify) -> bool {
    tokio::time::sleep(SHORTEST_PAUSE).await;
    tokio::select! {
        () = wake.notified() => true,
        () = tokio::time::sleep(pause.saturating_sub(SHORTEST_PAUSE)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_during_the_shortest_pause_is_not_lost() {
        let wake = Notify::new();
        wake.notify_one();
        let began = Instant::now();
        assert!(wait(Duration::from_mins(1), &wake).await);
        assert_eq!(began.elapsed(), SHORTEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_call_the_pause_runs_its_course() {
        let began = Instant::now();
        assert!(!wait(Duration::from_secs(1), &Notify::new()).await);
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
