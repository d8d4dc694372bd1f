//! Batches of syncs, throttled.

use std::sync::Arc;

use cqrs_core::{InstanceKey, RetryPolicy, StoreError, filter::Filter};
use cqrs_outbox::{
    RecordError,
    source::{
        After, FailedRow, KeyPage, SourceReader, SourceStore, SourceTable, SyncOptions, Synced,
    },
};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{SyncDone, SyncPlan, window::Window};
use crate::{Shutdown, TableError, Watch};

/// Records batches of syncs.
pub(super) struct Sender<'s, S: SourceStore, W> {
    store: &'s S,
    table: &'s Arc<SourceTable<S::Row>>,
    plan: SyncPlan,
    options: SyncOptions,
    watch: &'s mut W,
    shutdown: &'s Shutdown,
    /// Made anew when it breaks.
    reader: Option<S::Reader>,
    window: Window,
    /// Whether it is known that the queue takes rows, or the first row has been waited for.
    probed: bool,
    began: Instant,
    done: SyncDone,
}

/// A database may be away for a while, and a row locked for a while.
const RETRY: RetryPolicy = RetryPolicy {
    initial: Duration::from_millis(50),
    factor: 2.0,
    max: Duration::from_secs(5),
    jitter: 0.2,
    max_attempts: Some(20),
};

/// How long others are let to the database after a batch, at most.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// How long the first row for a single queue is waited for. There may be many rows before it.
const PROBE: Duration = Duration::from_secs(10);

/// After how many attempts a row that someone keeps locked has failed.
const LOCKED: u32 = 5;

/// Whether the others can be recorded without the one that this is about.
fn is_of_one<S: SourceStore>(error: &RecordError) -> bool {
    match error {
        RecordError::Invalid { .. } => true,
        RecordError::Store(StoreError::Conflict(_)) => S::Reader::LOCKS_INSTANCES,
        RecordError::Store(error) => S::Reader::is_of_a_row(error),
        _ => false,
    }
}

impl<'s, S: SourceStore, W: Watch> Sender<'s, S, W> {
    pub(super) fn new(
        store: &'s S,
        table: &'s Arc<SourceTable<S::Row>>,
        plan: SyncPlan,
        watch: &'s mut W,
        shutdown: &'s Shutdown,
    ) -> Self {
        let options = SyncOptions::new()
            .to_queue(plan.queue.clone())
            .forced(plan.forced);
        Self {
            store,
            table,
            window: Window::new(plan.max_unsent),
            probed: plan.queue.is_none(),
            plan,
            options,
            watch,
            shutdown,
            reader: None,
            began: Instant::now(),
            done: SyncDone::default(),
        }
    }

    /// How many instances go into a transaction.
    fn batch(&self) -> usize {
        let rate = self.plan.rate.map_or(usize::MAX, |rate| {
            usize::try_from(rate.get()).unwrap_or(usize::MAX)
        });
        self.plan.batch.min(self.plan.max_unsent).min(rate).max(1)
    }

    pub(super) async fn expect(&mut self, filter: &Filter) -> Result<(), TableError> {
        let rows = self.reader().await?.estimate(filter).await?;
        self.watch.expects(rows);
        Ok(())
    }

    /// The next page of keys, of one batch.
    pub(super) async fn keys(
        &mut self,
        filter: &Filter,
        after: Option<&After>,
    ) -> Result<KeyPage, TableError> {
        let batch = self.batch();
        let mut attempts = 0;
        loop {
            let keys = match self.reader().await {
                Ok(reader) => reader.keys(filter, after, batch).await,
                Err(error) => Err(error),
            };
            match keys {
                Ok(page) => return Ok(page),
                Err(error) => self.again(error.into(), &mut attempts).await?,
            }
        }
    }

    /// Which of these instances the table has.
    pub(super) async fn find(
        &mut self,
        keys: &[InstanceKey],
    ) -> Result<Vec<Option<InstanceKey>>, TableError> {
        let mut attempts = 0;
        loop {
            let found = match self.reader().await {
                Ok(reader) => reader.find(keys).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(found) => return Ok(found),
                Err(error) => self.again(error.into(), &mut attempts).await?,
            }
        }
    }

    /// Records syncs of instances, of at most one batch at a time. `false`: told to stop before the
    /// last of them.
    pub(super) async fn send(&mut self, keys: Vec<InstanceKey>) -> Result<bool, TableError> {
        let batch = self.batch();
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            let size = if self.probed { batch } else { 1 };
            let keys: Vec<_> = keys.by_ref().take(size).collect();
            if !self.room(keys.len()).await? {
                return Ok(false);
            }
            let began = Instant::now();
            self.record(keys).await?;
            if !self.probed && !self.window.unsent().is_empty() {
                self.probe().await?;
            }
            self.pace(began.elapsed()).await;
        }
        Ok(true)
    }

    pub(super) fn failed(&mut self, row: &FailedRow) {
        self.done.failed += 1;
        self.watch.failed(row);
        self.watch.advanced(1);
    }

    pub(super) fn gone(&mut self, count: u64, text: &str) {
        self.done.gone += count;
        self.watch.note(text);
    }

    pub(super) fn passed(&mut self, place: &After) {
        self.watch.passed(place);
    }

    /// A last look, at whether the queue is there.
    pub(super) async fn end(mut self) -> Result<SyncDone, TableError> {
        if self.plan.queue.is_some() && self.reader.is_some() {
            self.look().await?;
        }
        if let Some(reader) = self.reader.take() {
            reader.close().await;
        }
        Ok(self.done)
    }

    /// Waits until the first row has been sent, if a relay runs: so a wrong name of the queue costs one row.
    async fn probe(&mut self) -> Result<(), TableError> {
        self.probed = true;
        let deadline = Instant::now() + PROBE;
        loop {
            self.look().await?;
            if self.window.unsent().is_empty()
                || Instant::now() >= deadline
                || self.reader().await?.live_relays().await? == 0
            {
                return Ok(());
            }
            tokio::select! {
                () = sleep(self.window.pause()) => {}
                () = self.shutdown.drain.cancelled() => return Ok(()),
            }
        }
    }

    /// Waits until so many more rows may be in the outbox.
    async fn room(&mut self, rows: usize) -> Result<bool, TableError> {
        while !self.window.has_room(rows) {
            self.look().await?;
            if self.window.has_room(rows) {
                break;
            }
            let now = Instant::now();
            if self.window.is_stuck(now) {
                let relays = self.reader().await?.live_relays().await?;
                let unsent = self.window.unsent().len();
                self.watch.note(&match relays {
                    0 => format!(
                        "waiting: {unsent} rows are to be sent first, and no relay runs: start \
                         `cqrs-relay run`"
                    ),
                    _ => format!(
                        "waiting: {unsent} rows are to be sent first, and none is being sent; see \
                         `cqrs-relay status`"
                    ),
                });
            }
            tokio::select! {
                () = sleep(self.window.pause()) => {}
                () = self.shutdown.drain.cancelled() => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Looks which rows have been sent.
    async fn look(&mut self) -> Result<(), TableError> {
        let mut attempts = 0;
        let unsent = self.window.unsent().to_vec();
        let still = loop {
            let still = match self.reader().await {
                Ok(reader) => reader.unsent(&unsent).await,
                Err(error) => Err(error),
            };
            match still {
                Ok(still) => break still,
                Err(error) => self.again(error.into(), &mut attempts).await?,
            }
        };
        let left = self.window.update(&still, Instant::now());
        let Some(queue) = self.plan.queue.clone() else {
            return Ok(());
        };
        if left.is_empty() {
            return Ok(());
        }
        match self.reader().await?.without_queue(&left).await? {
            0 => Ok(()),
            rows => Err(TableError::NoQueue { queue, rows }),
        }
    }

    /// Records one batch; what cannot be recorded together, in parts. So a row that cannot be sent,
    /// or that someone keeps locked, holds up only itself.
    async fn record(&mut self, keys: Vec<InstanceKey>) -> Result<(), TableError> {
        let mut parts = vec![keys];
        let mut attempts = 0;
        while let Some(part) = parts.pop() {
            let options = self.options.clone();
            let recorded = match self.reader().await {
                Ok(_) if part.is_empty() => continue,
                Ok(reader) => reader.sync(part.clone(), &options).await,
                Err(error) => Err(RecordError::from(error)),
            };
            match recorded {
                Ok(synced) => {
                    attempts = 0;
                    self.recorded(synced);
                }
                Err(RecordError::Invalid { problem, .. }) if part.len() == 1 => {
                    let key = part.first().map(InstanceKey::to_json).unwrap_or_default();
                    self.failed(&FailedRow {
                        key,
                        fault: problem.into(),
                    });
                }
                Err(error) if part.len() > 1 && is_of_one::<S>(&error) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second.to_vec());
                    parts.push(first.to_vec());
                }
                Err(RecordError::Store(error)) if S::Reader::is_of_a_row(&error) => {
                    let key = part.first().map(InstanceKey::to_json).unwrap_or_default();
                    self.failed(&FailedRow {
                        key,
                        fault: error.into(),
                    });
                }
                Err(error) if is_of_one::<S>(&error) && attempts >= LOCKED => {
                    attempts = 0;
                    let key = part.first().map(InstanceKey::to_json).unwrap_or_default();
                    self.failed(&FailedRow {
                        key,
                        fault: "someone keeps it locked".into(),
                    });
                }
                Err(error) => {
                    self.again(error.into(), &mut attempts).await?;
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    fn recorded(&mut self, synced: Synced) {
        let rows = synced.ids.len() as u64;
        self.done.synced += rows;
        self.done.gone += synced.gone as u64;
        self.watch.advanced(rows + synced.gone as u64);
        self.window.add(synced.ids);
        for row in &synced.failed {
            self.failed(row);
        }
    }

    /// Waits as long as rate and delay want. Where a batch locks the whole database, also half the
    /// time: whoever waits for it asks only now and then, and would find it locked again.
    async fn pace(&mut self, took: Duration) {
        let mut until = Instant::now() + self.plan.delay;
        if !S::Reader::LOCKS_INSTANCES {
            until = until.max(Instant::now() + took.min(LONGEST_TURN));
        }
        if let Some(rate) = self.plan.rate {
            let earned = self.done.synced.saturating_mul(1_000_000) / u64::from(rate.get());
            until = until.max(self.began + Duration::from_micros(earned));
        }
        if until > Instant::now() {
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.shutdown.drain.cancelled() => {}
            }
        }
    }

    async fn reader(&mut self) -> Result<&mut S::Reader, StoreError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.store.reader(self.table).await?,
        };
        Ok(self.reader.insert(reader))
    }

    /// After a failure: waits, if trying again may help.
    async fn again(&mut self, error: TableError, attempts: &mut u32) -> Result<(), TableError> {
        let transient = match &error {
            TableError::Store(error) => error.is_transient(),
            TableError::Record(error) => error.is_transient(),
            _ => false,
        };
        *attempts += 1;
        let Some(pause) = RETRY.delay(*attempts).filter(|_| transient) else {
            return Err(error);
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "trying again");
        // Whether it is the connection or not: an open transaction on it must not be met again.
        self.reader = None;
        tokio::select! {
            () = sleep(pause) => Ok(()),
            () = self.shutdown.stop.cancelled() => Err(error),
        }
    }
}
