//! The master's side of reconciling: sums of ranges, rows of some of them, single instances, and syncs of
//! those that a replica lacks or has wrongly.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    sync::Arc,
};

use cqrs_core::{
    InstanceKey, QueueName, StoreError,
    content::{ContentHash, ContentHasher},
    reconcile::{Pace, Ranges, RowMark},
};

use crate::{
    RecordError,
    source::{
        ReadModel, Scan, SourceReader, SourceRow, SourceSnapshot, SourceStore, SourceTable,
        SyncOptions,
    },
};

/// How many rows a page holds.
const PAGE: usize = 2_000;

/// How many syncs one transaction records.
const BATCH: usize = 500;

/// What a master has of an instance.
#[derive(Debug, Clone)]
pub struct SourceInstance {
    /// Its key: the table's own if it is there.
    pub key: InstanceKey,
    /// Its canonical key.
    pub instance_pk: String,
    /// Its revision, if any was ever recorded: that of `data`, if it is there.
    pub revision: Option<i64>,
    /// The published state as JSON; `None` if it is gone, or not for replicas.
    pub data: Option<String>,
    /// Whether an event of it was in the outbox after `data` was read.
    pub pending: bool,
}

/// A connection that tells what a master has of single instances.
pub trait InstanceReader: SourceReader {
    /// What there is of these instances, of each its state and its revision at one moment, and whether
    /// its events are still to be sent. In the order asked for.
    ///
    /// # Errors
    /// A failure of the database, also when a key is none of the column's type.
    fn instances(
        &mut self,
        keys: &[InstanceKey],
    ) -> impl Future<Output = Result<Vec<SourceInstance>, StoreError>> + Send;
}

/// A master's database whose models can be reconciled.
pub trait ReconcileSource: SourceStore<Reader: InstanceReader> {}

impl<S: SourceStore<Reader: InstanceReader>> ReconcileSource for S {}

/// A model of a master, ready to be compared.
pub struct Comparable<S: ReconcileSource> {
    store: S,
    table: Arc<SourceTable<S::Row>>,
    reader: S::Reader,
    rate: Option<u32>,
}

impl<S: ReconcileSource> std::fmt::Debug for Comparable<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparable")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl<S: ReconcileSource> Comparable<S> {
    /// Compares the model with its table. Of that, at most so many rows a second are read.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit; otherwise a failure of the database.
    pub async fn open(
        store: S,
        model: ReadModel<S::Row>,
        rate: Option<u32>,
    ) -> Result<Self, StoreError> {
        let table = store.table(model).await?;
        let reader = store.reader(&table).await?;
        Ok(Self {
            store,
            table,
            reader,
            rate,
        })
    }

    /// The published fields.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<String> {
        let fields = self.table.source().fields().iter();
        fields.map(|field| field.name.clone()).collect()
    }

    /// About how many rows there are.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn estimate(&mut self) -> Result<u64, StoreError> {
        self.reader
            .estimate(&cqrs_core::filter::Filter::default())
            .await
    }

    /// The sums of all rows, of these fields, in so many ranges.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn ranges(
        &mut self,
        fields: &BTreeSet<String>,
        count: u32,
    ) -> Result<Ranges, StoreError> {
        let mut ranges = Ranges::new(count);
        let mut hasher = ContentHasher::of_fields(fields.clone());
        self.each(|row| ranges.add(&row.instance_pk, mark(&row, &mut hasher)))
            .await?;
        Ok(ranges)
    }

    /// The rows of some of so many ranges, by canonical key.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn rows(
        &mut self,
        fields: &BTreeSet<String>,
        count: u32,
        wanted: &BTreeSet<u32>,
    ) -> Result<HashMap<String, (InstanceKey, RowMark)>, StoreError> {
        let mut rows = HashMap::new();
        let mut hasher = ContentHasher::of_fields(fields.clone());
        self.each(|row| {
            if wanted.contains(&Ranges::range_of(&row.instance_pk, count)) {
                let mark = mark(&row, &mut hasher);
                rows.insert(row.instance_pk, (row.key, mark));
            }
        })
        .await?;
        Ok(rows)
    }

    /// What there is of these instances, by canonical key. Keys that the table's columns cannot hold
    /// are those of no instance.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn instances(
        &mut self,
        keys: &[InstanceKey],
    ) -> Result<HashMap<String, SourceInstance>, StoreError> {
        let mut found = match self.reader.instances(keys).await {
            Ok(found) => found,
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(_) => {
                let mut found = Vec::with_capacity(keys.len());
                for key in keys {
                    match self.reader.instances(std::slice::from_ref(key)).await {
                        Ok(one) => found.extend(one),
                        Err(error @ StoreError::Unavailable(_)) => return Err(error),
                        // A row that is there and cannot be read is none that a replica may delete.
                        Err(error) if self.is_there(key).await => return Err(error),
                        Err(error) => tracing::debug!(
                            instance_pk = key.canonical(),
                            error = &error as &dyn std::error::Error,
                            "no key of the table"
                        ),
                    }
                }
                found
            }
        };
        let found = found.drain(..);
        Ok(found.map(|row| (row.instance_pk.clone(), row)).collect())
    }

    async fn is_there(&mut self, key: &InstanceKey) -> bool {
        let found = self.reader.find(std::slice::from_ref(key)).await;
        found.is_ok_and(|found| found.iter().any(Option::is_some))
    }

    /// Records syncs of these instances for one queue, and answers how many. A row that cannot be sent is
    /// logged, and the others are sent.
    ///
    /// # Errors
    /// A failure of the database; some may have been recorded.
    pub async fn send_again(
        &mut self,
        queue: &QueueName,
        keys: &[InstanceKey],
        forced: bool,
    ) -> Result<u64, RecordError> {
        let options = SyncOptions::new()
            .to_queue(Some(queue.clone()))
            .forced(forced);
        let mut sent = 0;
        for batch in keys.chunks(BATCH) {
            let found = self.reader.find(batch).await.map_err(RecordError::Store)?;
            let mut parts: Vec<Vec<_>> = vec![found.into_iter().flatten().collect()];
            while let Some(part) = parts.pop() {
                let error = match self.reader.sync(part.clone(), &options).await {
                    Ok(synced) => {
                        sent += synced.ids.len() as u64;
                        continue;
                    }
                    Err(error) => error,
                };
                let of_a_row = match &error {
                    RecordError::Invalid { .. } => true,
                    RecordError::Store(error) => S::Reader::is_of_a_row(error),
                    _ => false,
                };
                match part.as_slice() {
                    _ if !of_a_row => return Err(error),
                    [key] => tracing::warn!(
                        instance_pk = key.canonical(),
                        error = &error as &dyn std::error::Error,
                        "a row of the master cannot be sent"
                    ),
                    part => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second.to_vec(), first.to_vec()]);
                    }
                }
            }
        }
        Ok(sent)
    }

    /// Ends it in good order.
    pub async fn close(self) {
        self.reader.close().await;
    }

    async fn each(&mut self, mut on: impl FnMut(SourceRow)) -> Result<(), StoreError> {
        let mut snapshot = self
            .store
            .snapshot(&self.table, Scan::with_content())
            .await?;
        let mut pace = Pace::new(self.rate);
        while let Some(page) = snapshot.next(PAGE).await? {
            let rows = page.rows.len();
            for failed in &page.failed {
                tracing::warn!(
                    instance_pk = failed.key,
                    error = &*failed.fault as &dyn std::error::Error,
                    "a row of the master is no instance"
                );
            }
            page.rows.into_iter().for_each(&mut on);
            pace.after(rows).await;
        }
        snapshot.close().await;
        Ok(())
    }
}

fn mark(row: &SourceRow, hasher: &mut ContentHasher) -> RowMark {
    let content = row.data.as_deref().unwrap_or_default();
    RowMark {
        revision: row.revision.0,
        // What is no JSON is like nothing else.
        content: hasher.hash(content).unwrap_or(ContentHash(0)),
    }
}
