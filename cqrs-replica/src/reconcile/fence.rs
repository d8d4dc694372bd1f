//! Waiting until all that was on its way has come.

use std::{pin::Pin, time::Duration};

use cqrs_core::{QueueName, transport::TransportError};
use tokio::time::Instant;

use super::{ReconcileError, ReplicaReader, WorkersSeen};

/// Says whether the queue holds no message that no worker has got.
pub type QueueLook =
    Box<dyn FnMut() -> Pin<Box<dyn Future<Output = Result<bool, TransportError>> + Send>> + Send>;

/// How often is looked.
const POLL: Duration = Duration::from_millis(200);

/// After how long without a sign of life a worker's messages have gone to others, microseconds.
const GONE: i64 = 60_000_000;

/// How long a message may take from the broker into a worker's books, microseconds.
const ON_THE_WAY: i64 = 250_000;

/// Why what was on its way has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    NoWorker,
    Queue,
    Worker,
}

impl Behind {
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::NoWorker => "no worker is running",
            Self::Queue => "the queue is not empty",
            Self::Worker => "a worker has messages from before that it has not acknowledged",
        }
    }
}

/// Waits until every message is applied, or is a letter, that was in the queue when this was called.
pub(super) async fn passed<R: ReplicaReader>(
    reader: &mut R,
    queue: &QueueName,
    is_empty: &mut QueueLook,
    patience: Duration,
) -> Result<Result<(), Behind>, ReconcileError> {
    let deadline = Instant::now() + patience;
    // When the queue was seen empty: all from before had been given to workers by then.
    let mut given = None;
    loop {
        let empty = match given {
            Some(_) => true,
            None => is_empty().await.map_err(ReconcileError::Broker)?,
        };
        let seen = reader.workers(queue).await?;
        if empty && given.is_none() {
            given = Some(seen.now);
        }
        let behind = match judged(&seen, given) {
            Ok(()) => return Ok(Ok(())),
            Err(Behind::NoWorker) => return Ok(Err(Behind::NoWorker)),
            Err(behind) => behind,
        };
        if Instant::now() >= deadline {
            return Ok(Err(behind));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn judged(seen: &WorkersSeen, given: Option<i64>) -> Result<(), Behind> {
    let mut alive = seen
        .workers
        .iter()
        .filter(|worker| seen.now - worker.beat_at < GONE)
        .peekable();
    if alive.peek().is_none() {
        return Err(Behind::NoWorker);
    }
    let Some(given) = given else {
        return Err(Behind::Queue);
    };
    let since = given + ON_THE_WAY;
    let is_past = alive.all(|worker| {
        worker.beat_at > since && worker.oldest_unacked.is_none_or(|came| came > since)
    });
    if is_past { Ok(()) } else { Err(Behind::Worker) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(workers: &[(i64, Option<i64>)]) -> WorkersSeen {
        let rows = workers
            .iter()
            .map(|&(beat, oldest)| (100_000_000, Some(beat), oldest));
        WorkersSeen::of(rows.collect())
    }

    #[test]
    fn every_living_worker_has_to_be_past_the_moment_when_the_queue_was_empty() {
        let given = Some(98_000_000);
        for (workers, verdict) in [
            (vec![], Err(Behind::NoWorker)),
            (vec![(1, None)], Err(Behind::NoWorker)),
            (vec![(99_000_000, None)], Ok(())),
            (vec![(99_000_000, None), (1, Some(1))], Ok(())),
            (vec![(99_000_000, Some(98_900_000))], Ok(())),
            (vec![(99_000_000, Some(98_100_000))], Err(Behind::Worker)),
            (vec![(98_100_000, None)], Err(Behind::Worker)),
            (
                vec![(99_000_000, None), (60_000_000, None)],
                Err(Behind::Worker),
            ),
        ] {
            assert_eq!(judged(&seen(&workers), given), verdict, "{workers:?}");
        }
        assert_eq!(
            judged(&seen(&[(99_000_000, None)]), None),
            Err(Behind::Queue)
        );
    }
}
