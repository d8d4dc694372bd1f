//! A dump into the replica: `cqrs-replica load`.
//!
//! The rows take the way of every message, so that revisions decide: a load may run while live
//! events come, may be given twice, and may be broken off and taken up again.
//!
//! A dump does not say whether its master counts revisions. A row is loaded as if it did: where the
//! state is that of a master that does not, the rules ask for the time anyway, as they do for its
//! later messages; and where nothing is known yet, the messages of a master that does count are
//! judged by their revisions alone, so that a delete which was overtaken by the dump of a second
//! life takes nothing. The price: a row that Django has deleted and made again at revision 0, and of
//! which neither message came, is not newer than the row of an earlier load. A sync repairs it.
//!
//! A table takes a row as a SAVE. What is to see every revision in its turn takes it as a SYNC, which
//! states where an instance stands, and takes the same row only once.
//!
//! A row that is exactly the state which a tombstone ends was removed by a comparison, and not by its
//! master: the dump brings it back, as a sync does.
//!
//! With `--clear` a table takes its rows as SYNCs too, so that what was changed or deleted by hand is put
//! right, and loses those that the dump does not have: not before, as the table would be empty for a
//! while, but once all the others are there.

mod clear;
mod keys;
mod lane;
mod lines;
mod position;
mod reader;
mod report;

use std::{
    io::{self, BufRead},
    sync::Arc,
};

use cqrs_core::{CqrsId, StoreError};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use clear::{Cleared, begin, clear};
pub use report::{FailedLine, Incomplete, LoadEvent, Loaded, Seen};

use self::{lane::Lane, position::Position, reader::Reader};
use crate::{
    Applied, ApplyPolicy, Models, ReplicaSession, ReplicaStore,
    supervisor::{Outages, Side, SupervisedSession},
    worker::task::Task,
};

/// How a dump is loaded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// What the apply rules need to know.
    pub policy: ApplyPolicy,
    /// Which model the dump must be of. `None`: any that is known.
    pub cqrs_id: Option<CqrsId>,
    /// The members that are the key, where the table does not tell.
    pub key: Option<Vec<String>>,
    /// How many rows one transaction applies at most.
    pub batch: usize,
    /// How many batches are applied at the same time, each on a connection of its own.
    pub lanes: u16,
    /// The first line that is loaded; the first row is line 2.
    pub from_line: u64,
    /// Whether a dump is whole only if it ends with an end mark, as those of `cqrs-relay dump` do and
    /// those of Django do not.
    pub end_mark: bool,
    /// Rows are loaded over what is as new, under this load's own identity, and what the dump does not
    /// have is removed afterwards: see [`clear`]. For a model with a table.
    pub clear: Option<Uuid>,
}

impl LoadOptions {
    /// The defaults: 1000 rows a transaction, 4 lanes, from the beginning, a dump with an end mark.
    #[must_use]
    pub const fn new(policy: ApplyPolicy) -> Self {
        Self {
            policy,
            cqrs_id: None,
            key: None,
            batch: 1000,
            lanes: 4,
            from_line: 2,
            end_mark: true,
            clear: None,
        }
    }
}

/// Why a load could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The input cannot be read.
    #[error("the dump cannot be read")]
    Input(#[source] io::Error),
    /// The input is no dump of a model that is known here. Says what to do.
    #[error("{0}")]
    Dump(String),
    /// A failure of the database that connecting again does not mend.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the load has panicked.
    #[error("a part of the load has ended by itself: {0}")]
    Broken(String),
}

/// Loads a dump. Bad rows cost only themselves; `on` is told of each as it is found.
///
/// Memory: some batches a lane. A database that is lost is waited for, as a worker does.
///
/// # Errors
/// [`LoadError`]; rows that failed are none, see [`Loaded::failed`].
///
/// # Cancellation
/// `stop` ends it after the batches in hand; [`Loaded::stopped_at`] says where to go on. Dropping
/// the future ends it in the middle of a batch, which is rolled back.
pub async fn load<S: ReplicaStore>(
    store: &S,
    models: &Models<S>,
    options: &LoadOptions,
    input: impl BufRead + Send + 'static,
    stop: &CancellationToken,
    mut on: impl FnMut(LoadEvent<'_>),
) -> Result<Loaded, LoadError> {
    let mut session = store.session().await?;
    session.check_models(models).await?;
    let mut policy = options.policy.clone();
    policy.restores = true;
    let position = Arc::new(Position::new(usize::from(options.lanes.max(1))));
    let (reports, mut told) = mpsc::channel(64);
    let outages = Arc::new(Outages::new(Side::Database));
    let mut lanes = JoinSet::new();
    let mut ways = Vec::new();
    for number in 0..options.lanes.max(1) {
        let (way, batches) = mpsc::channel(1);
        ways.push(way);
        let lane = Lane {
            number: usize::from(number),
            session: SupervisedSession::new(
                store.clone(),
                Task::Lane(number),
                Arc::clone(&outages),
                crate::WorkerConfig::new(options.policy.queue.clone()).reconnect,
            ),
            models: models.clone(),
            policy: policy.clone(),
            batches,
            reports: reports.clone(),
            position: Arc::clone(&position),
            stop: stop.clone(),
            clearing: options.clear.is_some(),
        };
        lanes.spawn(lane.run());
    }
    let reader = Reader {
        models: models.clone(),
        options: options.clone(),
        ways,
        reports,
        position: Arc::clone(&position),
        stop: stop.clone(),
    };
    // Not one of the runtime's: it may wait for a terminal for ever.
    let reading = std::thread::Builder::new()
        .name("dump".to_owned())
        .spawn(move || reader.run(input))
        .map_err(LoadError::Input)?;
    let mut loaded = Loaded::default();
    let mut woke = false;
    while !lanes.is_empty() {
        tokio::select! {
            biased;
            Some(report) = told.recv() => loaded.add(&report, &mut on),
            Some(ended) = lanes.join_next() => {
                woke |= ended.map_err(|error| LoadError::Broken(error.to_string()))?;
            }
        }
    }
    let ended = if stop.is_cancelled() && !reading.is_finished() {
        // It may wait for input that nobody needs any more.
        Ok(None)
    } else {
        let panicked = |_| LoadError::Broken("the reading of the dump".to_owned());
        reading.join().map_err(panicked)?
    };
    while let Ok(report) = told.try_recv() {
        loaded.add(&report, &mut on);
    }
    if let Some(read) = ended? {
        loaded.seen.latest = read.latest;
        loaded.filtered = read.end.is_some_and(|end| end.filtered);
        if !stop.is_cancelled() {
            loaded.incomplete = read
                .incomplete()
                .filter(|why| options.end_mark || !matches!(why, Incomplete::NoMark { .. }));
        }
        loaded.seen.cqrs_id = Some(read.cqrs_id.clone());
        loaded.cqrs_id = Some(read.cqrs_id.to_string());
    }
    if stop.is_cancelled() {
        loaded.stopped_at = Some(position.next());
    } else if woke || loaded.waiting > 0 {
        take_up(&mut session, models, &policy, options.batch, &mut loaded).await?;
    }
    session.close().await;
    Ok(loaded)
}

/// Applies the letters whose rows have come meanwhile: a dump may hold rows in any order.
async fn take_up<S: ReplicaStore>(
    session: &mut S::Session,
    models: &Models<S>,
    policy: &ApplyPolicy,
    batch: usize,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    loop {
        let due = session.apply_due(models, policy, batch);
        let done = due.await?.applied;
        let done = done
            .iter()
            .filter(|answer| matches!(answer, Applied::Applied { .. } | Applied::Skipped(_)));
        let done = done.count() as u64;
        loaded.taken_up(done);
        if done == 0 {
            return Ok(());
        }
    }
}
