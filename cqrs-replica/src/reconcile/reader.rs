//! What reconciling asks of the replica's database.

use std::future::Future;

use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, InstanceKey, KeyError, QueueName, StoreError, json::Object, reconcile::RowMark,
};
use serde_json::value::RawValue;

use super::ReconcileTable;
use crate::{ReplicaStore, TableModel};

/// A replica's database whose tables can be compared.
pub trait ReconcileStore: ReplicaStore {
    /// A connection of its own for reading.
    type Reader: ReplicaReader;

    /// Connects, and refuses a schema that this program does not know.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// Safe.
    fn reader(&self) -> impl Future<Output = Result<Self::Reader, StoreError>> + Send;
}

/// A connection that reads a replica's table with what is known of its rows. Each call sees what is
/// committed when it begins.
pub trait ReplicaReader: Send {
    /// Compares a model's table with the catalog.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit; otherwise a failure of the database.
    fn table(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
        model: &TableModel,
    ) -> impl Future<Output = Result<ReconcileTable, StoreError>> + Send;

    /// How many instances the replica knows to be live.
    ///
    /// # Errors
    /// A failure of the database.
    fn count(
        &mut self,
        table: &ReconcileTable,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// At most `limit` rows in the key's order, from behind the row of `after` on.
    ///
    /// # Errors
    /// A failure of the database.
    fn page(
        &mut self,
        table: &ReconcileTable,
        after: Option<&ReplicaRow>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ReplicaRow>, StoreError>> + Send;

    /// The rows of these keys, those that are there. A key that the table's columns cannot hold has
    /// none.
    ///
    /// # Errors
    /// A failure of the database.
    fn rows(
        &mut self,
        table: &ReconcileTable,
        keys: &[InstanceKey],
    ) -> impl Future<Output = Result<Vec<ReplicaRow>, StoreError>> + Send;

    /// What is known of these instances, of those of which something is.
    ///
    /// # Errors
    /// A failure of the database.
    fn states(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
        instance_pks: &[String],
    ) -> impl Future<Output = Result<Vec<KnownState>, StoreError>> + Send;

    /// The letters of these instances that are open or dead.
    ///
    /// # Errors
    /// A failure of the database.
    fn letters(
        &mut self,
        table: &ReconcileTable,
        instance_pks: &[String],
    ) -> impl Future<Output = Result<Vec<LetterOf>, StoreError>> + Send;

    /// What the table would show of rows with these fields, by the types of its columns; `None` of
    /// one that the columns do not take. Nothing is written to the table.
    ///
    /// # Errors
    /// A failure of the database.
    fn stored(
        &mut self,
        table: &ReconcileTable,
        rows: &[Object],
    ) -> impl Future<Output = Result<Vec<Option<String>>, StoreError>> + Send;

    /// The queue's workers, and the time by the same clock.
    ///
    /// # Errors
    /// A failure of the database.
    fn workers(
        &mut self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<WorkersSeen, StoreError>> + Send;

    /// The losses of the queue for which nothing has been compared yet.
    ///
    /// # Errors
    /// A failure of the database.
    fn losses(
        &mut self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<Vec<Loss>, StoreError>> + Send;

    /// All that these losses may have cost has been compared. Answers how many workers had none meanwhile.
    ///
    /// # Errors
    /// A failure of the database.
    fn make_good(
        &mut self,
        losses: &[Loss],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Takes back that these instances were deleted, so that a sync of the same revision, or a forced one
    /// of an earlier revision, brings them back, and a delete takes a row that is there all the same.
    /// Answers how many tombstones there were.
    ///
    /// # Errors
    /// A failure of the database.
    fn undo_deletes(
        &mut self,
        table: &ReconcileTable,
        instance_pks: &[String],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Ends the connection in good order.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A worker has found its queue gone: what was in it may never have been applied.
#[derive(Debug, Clone)]
pub struct Loss {
    pub(crate) worker: String,
    /// How many the worker has had by then.
    pub(crate) number: i64,
}

impl Loss {
    pub(crate) fn new((worker, number): (String, i64)) -> Self {
        Self { worker, number }
    }
}

/// A row of a replica's table.
#[derive(Debug, Clone)]
pub struct ReplicaRow {
    /// Its key as JSON.
    pub(crate) key: String,
    /// Its canonical key.
    pub(crate) instance_pk: String,
    /// The revision of its live state; [`RowMark::UNKNOWN`] without one.
    pub(crate) revision: i64,
    /// The fields that are compared, as JSON.
    pub(crate) content: String,
}

impl ReplicaRow {
    pub(crate) fn new(
        key: String,
        instance_pk: String,
        revision: Option<i64>,
        content: String,
    ) -> Self {
        Self {
            key,
            instance_pk,
            revision: revision.unwrap_or(RowMark::UNKNOWN),
            content,
        }
    }

    /// The key as messages have it.
    pub(crate) fn instance_key(&self) -> Result<InstanceKey, KeyError> {
        let raw = RawValue::from_string(self.key.clone());
        let raw = raw.map_err(|_| KeyError::Unsupported {
            found: self.key.chars().take(60).collect(),
        })?;
        InstanceKey::from_json(&raw)
    }
}

/// What a replica knows of an instance.
#[derive(Debug, Clone)]
pub struct KnownState {
    pub(crate) instance_pk: String,
    pub(crate) revision: i64,
    /// The master's time of that state.
    pub(crate) updated: DateTime<Utc>,
    pub(crate) deleted: bool,
    /// When it was applied here, by the database's clock.
    pub(crate) applied_at: DateTime<Utc>,
}

/// A letter of an instance.
#[derive(Debug, Clone)]
pub struct LetterOf {
    pub(crate) instance_pk: String,
    pub(crate) id: i64,
    /// Whether it waits or is tried again; otherwise it is dead.
    pub(crate) open: bool,
}

/// A queue's workers as they were last seen. Times are microseconds of one clock.
#[derive(Debug, Clone, Default)]
pub struct WorkersSeen {
    pub(crate) now: i64,
    pub(crate) workers: Vec<WorkerSeen>,
}

/// A worker's last sign of life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerSeen {
    pub(crate) beat_at: i64,
    /// When the oldest message that it had not acknowledged then came to it.
    pub(crate) oldest_unacked: Option<i64>,
}

impl WorkersSeen {
    /// Rows of the time, a worker's beat, and its oldest message.
    pub(crate) fn of(rows: Vec<(i64, Option<i64>, Option<i64>)>) -> Self {
        Self {
            now: rows.iter().map(|(now, _, _)| *now).max().unwrap_or(0),
            workers: rows
                .into_iter()
                .filter_map(|(_, beat_at, oldest_unacked)| {
                    Some(WorkerSeen {
                        beat_at: beat_at?,
                        oldest_unacked,
                    })
                })
                .collect(),
        }
    }
}
