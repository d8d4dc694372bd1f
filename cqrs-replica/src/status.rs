//! How a replica is doing: `cqrs-replica status`.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use cqrs_core::{QueueName, StoreError};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    ReplicaSession, ReplicaStatus, ReplicaStore, WorkerRow,
    plain::{columns, period, plain, time},
};

/// After how long without a sign of life nobody knows what a worker holds.
const SILENT: Duration = Duration::from_secs(10);

/// The state of a replica. `Display` is for people, `Serialize` for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The queue it reads.
    pub queue: String,
    /// Instances known to be live.
    pub live: u64,
    /// Instances known to be deleted.
    pub tombstones: u64,
    /// Letters that wait for something.
    pub waiting: u64,
    /// Letters that are tried again.
    pub retrying: u64,
    /// Dead letters.
    pub dead: u64,
    /// Whether a worker found the queue gone.
    pub needs_reconcile: bool,
    /// The models whose events wait, since their table cannot be written or their code does not answer.
    pub paused_models: Vec<ModelStatus>,
    /// The models whose events wait, since no worker of the queue knows them.
    pub unknown_models: Vec<ModelStatus>,
    /// The workers seen lately.
    pub workers: Vec<WorkerStatus>,
}

/// A model whose events wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelStatus {
    /// Its name.
    pub cqrs_id: String,
    /// For how long the first event has waited.
    pub waited_seconds: f64,
    /// Why, where it is known.
    pub error: Option<String>,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its identity, new at each start.
    pub worker: Uuid,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// How long ago its last sign of life was.
    pub seen_seconds: f64,
    /// How long its oldest unacknowledged message has been with it, when it was seen last.
    pub oldest_unacked_seconds: Option<f64>,
    /// Whether it has not been seen for 10 s, so that it is unknown what it holds now.
    pub silent: bool,
}

/// Looks. Changes nothing.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn status<S: ReplicaStore>(store: &S, queue: &QueueName) -> Result<Status, StoreError> {
    let mut session = store.session().await?;
    let status = session.status(queue).await?;
    session.close().await;
    Ok(Status::new(queue, &status))
}

impl Status {
    fn new(queue: &QueueName, status: &ReplicaStatus) -> Self {
        Self {
            queue: queue.to_string(),
            live: status.live,
            tombstones: status.tombstones,
            waiting: status.waiting,
            retrying: status.retrying,
            dead: status.dead,
            needs_reconcile: status.needs_reconcile,
            paused_models: ModelStatus::of(status, true),
            unknown_models: ModelStatus::of(status, false),
            workers: status.workers.iter().map(WorkerStatus::from).collect(),
        }
    }
}

impl ModelStatus {
    fn of(status: &ReplicaStatus, paused: bool) -> Vec<Self> {
        let models = status.waiting_models.iter();
        models
            .filter(|model| model.is_paused == paused)
            .map(|model| Self {
                cqrs_id: model.cqrs_id.clone(),
                waited_seconds: model.waited.as_secs_f64(),
                error: model.error.clone(),
            })
            .collect()
    }
}

impl From<&WorkerRow> for WorkerStatus {
    fn from(row: &WorkerRow) -> Self {
        Self {
            worker: row.worker,
            started_at: row.started_at,
            seen_seconds: row.seen.as_secs_f64(),
            oldest_unacked_seconds: row.oldest_unacked.map(|age| age.as_secs_f64()),
            silent: row.seen >= SILENT,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |name: &str, count: u64, what: &str| {
            [name.to_owned(), count.to_string(), what.to_owned()]
        };
        let rows = [
            ["queue".to_owned(), plain(&self.queue), String::new()],
            count("live", self.live, "instances"),
            count(
                "tombstones",
                self.tombstones,
                "deleted instances still remembered",
            ),
            count(
                "waiting",
                self.waiting,
                "letters that wait for a revision, a model or a row",
            ),
            count(
                "retrying",
                self.retrying,
                "letters that will be tried again",
            ),
            count(
                "dead",
                self.dead,
                "letters that need someone: see `dead-letters list`",
            ),
            count("workers", self.workers.len() as u64, "seen within the hour"),
        ];
        columns(f, &rows)?;
        for worker in &self.workers {
            write!(
                f,
                "\n  {}  since {}, seen {} ago, ",
                worker.worker,
                time(worker.started_at),
                period(worker.seen_seconds)
            )?;
            if worker.silent {
                f.write_str("unknown what is in hand")?;
                continue;
            }
            match worker.oldest_unacked_seconds {
                Some(age) => write!(f, "oldest message in hand for {}", period(age))?,
                None => f.write_str("nothing in hand")?,
            }
        }
        for model in &self.paused_models {
            write!(
                f,
                "\nPAUSED: model {} for {}: {}; its events are kept and go on once that is mended",
                plain(&model.cqrs_id),
                period(model.waited_seconds),
                plain(model.error.as_deref().unwrap_or("unknown")),
            )?;
        }
        for model in &self.unknown_models {
            write!(
                f,
                "\nUNKNOWN MODEL: events of {0} have waited for {1} for a worker that knows it: add it to \
                 cqrs.toml, or end them with `cqrs-replica unbind {0}`",
                plain(&model.cqrs_id),
                period(model.waited_seconds),
            )?;
        }
        if self.needs_reconcile {
            f.write_str(
                "\nNEEDS RECONCILE: the queue was deleted under a worker and messages were lost: run \
                 `cqrs-replica reconcile --all --repair`",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WaitingModel;

    fn report() -> Status {
        let row = WorkerRow {
            worker: Uuid::from_u128(7),
            started_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            seen: Duration::from_millis(400),
            oldest_unacked: Some(Duration::from_secs(75)),
        };
        let status = ReplicaStatus {
            live: 250,
            dead: 2,
            workers: vec![row],
            needs_reconcile: true,
            waiting_models: vec![WaitingModel {
                cqrs_id: "invoice".to_owned(),
                is_paused: true,
                waited: Duration::from_secs(90),
                error: Some("permission denied for table invoice".to_owned()),
            }],
            ..ReplicaStatus::default()
        };
        Status::new(&QueueName::new("billing").unwrap(), &status)
    }

    #[test]
    fn text_names_what_needs_someone() {
        let text = report().to_string();
        assert!(
            text.starts_with("queue       billing\nlive        250      instances\n"),
            "{text}"
        );
        assert!(
            text.contains("seen 0.4 s ago, oldest message in hand for 1 min 15 s"),
            "{text}"
        );
        assert!(text.contains("NEEDS RECONCILE"), "{text}");
        let paused = "\nPAUSED: model invoice for 1 min 30 s: permission denied for table invoice;";
        assert!(text.contains(paused), "{text}");
    }

    #[test]
    fn what_a_silent_worker_holds_is_unknown() {
        let mut status = report();
        let row = WorkerRow {
            worker: Uuid::from_u128(8),
            started_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            seen: SILENT,
            oldest_unacked: None,
        };
        status.workers = vec![WorkerStatus::from(&row)];
        let text = status.to_string();
        assert!(
            text.contains("seen 10 s ago, unknown what is in hand"),
            "{text}"
        );
    }

    #[test]
    fn json_has_plain_numbers() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["live"], 250);
        assert_eq!(json["needs_reconcile"], true);
        assert_eq!(json["workers"][0]["oldest_unacked_seconds"], 75.0);
        assert_eq!(json["workers"][0]["seen_seconds"], 0.4);
    }
}
