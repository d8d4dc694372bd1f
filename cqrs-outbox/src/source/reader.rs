//! Reading a model's table with the revisions of its instances, page by page.
//!
//! Pages stand in the order of the key, each begins where the one before ended, and no more than
//! one is held: the memory needed does not depend on the table. Rows whose key has a null are no
//! instances and are left out.
//!
//! ```no_run
//! # use cqrs_core::StoreError;
//! # use cqrs_outbox::source::{ReadModel, Scan, SourceSnapshot, SourceStore};
//! # async fn example<S: SourceStore>(store: S, model: ReadModel<S::Row>) -> Result<(), StoreError> {
//! let table = store.table(model).await?;
//! let mut snapshot = store.snapshot(&table, Scan::with_content()).await?;
//! while let Some(page) = snapshot.next(1_000).await? {
//!     for row in &page.rows {
//!         println!("{} is at revision {}", row.instance_pk, row.revision.0);
//!     }
//! }
//! snapshot.close().await;
//! # Ok(())
//! # }
//! ```

use std::{fmt, future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use cqrs_core::{InstanceKey, QueueName, Revision, StoreError, filter::Filter};

use super::{After, ReadModel, RowFault, SourceTable};
use crate::RecordError;

/// A master's database whose tables can be read as models. Cheap to clone.
pub trait SourceStore: Clone + Send + Sync + 'static {
    /// A row of the database, for [`ReadModel::of`].
    type Row: sqlx::Row;
    /// The table at one moment.
    type Snapshot: SourceSnapshot;
    /// The table as it is from call to call.
    type Reader: SourceReader;

    /// Compares a model with its table.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit; otherwise a failure of the database.
    fn table(
        &self,
        model: ReadModel<Self::Row>,
    ) -> impl Future<Output = Result<Arc<SourceTable<Self::Row>>, StoreError>> + Send;

    /// Opens one consistent view of the table, for as long as it takes: no time limits, and no locks
    /// that a writer would wait for.
    ///
    /// Instances that were never recorded, or are recorded as deleted and are there all the same,
    /// get a revision on the way (0, and one more), so that a later change is told from what is
    /// read here. On `PostgreSQL` with each page, on another connection; on `SQLite` now, in short
    /// transactions.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the filter does not fit the table; otherwise a failure of the
    /// database.
    fn snapshot(
        &self,
        table: &Arc<SourceTable<Self::Row>>,
        scan: Scan,
    ) -> impl Future<Output = Result<Self::Snapshot, StoreError>> + Send;

    /// Opens a connection that reads the table as it is at each call.
    ///
    /// # Errors
    /// A failure of the database.
    fn reader(
        &self,
        table: &Arc<SourceTable<Self::Row>>,
    ) -> impl Future<Output = Result<Self::Reader, StoreError>> + Send;
}

/// A consistent view of a table.
pub trait SourceSnapshot: fmt::Debug + Send + 'static {
    /// The next page of at most `limit` rows, among them those that turn out to be none; `None` after
    /// the last one.
    ///
    /// # Errors
    /// A failure of the database, after which the snapshot is of no use.
    ///
    /// # Cancel safety
    /// Not safe: drop the snapshot.
    fn next(
        &mut self,
        limit: usize,
    ) -> impl Future<Output = Result<Option<SourcePage>, StoreError>> + Send;

    /// About how many rows there will be.
    ///
    /// # Errors
    /// As [`Self::next`].
    fn estimate(&mut self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Ends it. Dropping does too, less politely.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A connection that reads a table as it is.
pub trait SourceReader: fmt::Debug + Send + 'static {
    /// Whether [`StoreError::Conflict`] may be about one instance that someone keeps locked, so that the
    /// others can be done without it.
    const LOCKS_INSTANCES: bool;

    /// Whether a failure may be about the content of one row, so that the others can be read without it.
    #[must_use]
    fn is_of_a_row(error: &StoreError) -> bool {
        let _ = error;
        false
    }

    /// The next page of keys of rows that are to be published and meet the filter, in the key's order.
    /// Whoever wrote a row in between is not waited for: see [`Self::sync`].
    ///
    /// # Errors
    /// As [`SourceStore::snapshot`]; [`StoreError::Schema`] too if `after` is no key of this table.
    fn keys(
        &mut self,
        filter: &Filter,
        after: Option<&After>,
        limit: usize,
    ) -> impl Future<Output = Result<KeyPage, StoreError>> + Send;

    /// About how many rows meet the filter.
    ///
    /// # Errors
    /// As [`Self::keys`].
    fn estimate(&mut self, filter: &Filter)
    -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Which of these instances are there and are to be published: for each its key as the table
    /// has it, in the order asked for.
    ///
    /// # Errors
    /// A failure of the database, also when a key is none of the column's type.
    fn find(
        &mut self,
        keys: &[InstanceKey],
    ) -> impl Future<Output = Result<Vec<Option<InstanceKey>>, StoreError>> + Send;

    /// Records syncs of these instances in one transaction: their states as they are under the locks
    /// of their revisions. The keys are those that the table has, as [`Self::keys`] and
    /// [`Self::find`] give them. Rows that are gone or no longer to be published are left out:
    /// their own events tell of them.
    ///
    /// # Errors
    /// A failure of the database; of [`RecordError::is_transient`] ones nothing was recorded, or
    /// with [`StoreError::Unavailable`] perhaps all.
    ///
    /// # Cancel safety
    /// All or nothing is recorded. Drop the reader.
    fn sync(
        &mut self,
        keys: Vec<InstanceKey>,
        options: &SyncOptions,
    ) -> impl Future<Output = Result<Synced, RecordError>> + Send;

    /// Which of these rows of the outbox have not been sent yet.
    ///
    /// # Errors
    /// A failure of the database.
    fn unsent(&mut self, ids: &[i64]) -> impl Future<Output = Result<Vec<i64>, StoreError>> + Send;

    /// How many of these rows are dead since there is no such queue.
    ///
    /// # Errors
    /// A failure of the database.
    fn without_queue(
        &mut self,
        ids: &[i64],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// How many relays have a heartbeat.
    ///
    /// # Errors
    /// A failure of the database.
    fn live_relays(&mut self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Ends it. Dropping does too, less politely.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a snapshot is to show.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Scan {
    /// Which rows, of those that are to be published.
    pub filter: Filter,
    /// Whether the published states are wanted too. Without, only keys and revisions.
    pub content: bool,
    /// Where to begin: behind this key.
    pub after: Option<After>,
}

impl Scan {
    /// Keys and revisions of all rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the published states.
    #[must_use]
    pub fn with_content() -> Self {
        Self {
            content: true,
            ..Self::default()
        }
    }

    /// Only the rows that meet this filter.
    #[must_use]
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// From behind this key on.
    #[must_use]
    pub fn after(mut self, after: Option<After>) -> Self {
        self.after = after;
        self
    }
}

/// A page of a snapshot.
#[derive(Debug, Default)]
pub struct SourcePage {
    /// The instances, in the key's order.
    pub rows: Vec<SourceRow>,
    /// Rows that are no instances: each costs only itself.
    pub failed: Vec<FailedRow>,
    /// How many rows the model's own code keeps from replicas. (Those that a filter of the
    /// configuration keeps are not read at all.)
    pub filtered: usize,
    /// How many instances are being recorded for the first time just now: their events come by the
    /// broker.
    pub recording: usize,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct SourceRow {
    /// Its key as it stands in messages.
    pub key: InstanceKey,
    /// Its canonical key.
    pub instance_pk: String,
    /// Its revision.
    pub revision: Revision,
    /// When the revision was raised, by the database's clock.
    pub updated: DateTime<Utc>,
    /// The published state as an object of JSON on one line, without revision and time; `None`
    /// without content.
    pub data: Option<String>,
}

/// A row that is no instance.
#[derive(Debug)]
pub struct FailedRow {
    /// Its key as JSON.
    pub key: String,
    /// Why.
    pub fault: RowFault,
}

/// A page of keys.
#[derive(Debug)]
pub struct KeyPage {
    /// The keys, in the table's order.
    pub keys: Vec<InstanceKey>,
    /// Rows whose key is none.
    pub failed: Vec<FailedRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<After>,
}

/// How syncs are sent.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SyncOptions {
    /// To this queue only.
    pub queue: Option<QueueName>,
    /// Whether replicas take them over a later revision.
    pub forced: bool,
    /// How long they are worth sending, instead of what the model says.
    pub ttl: Option<Duration>,
}

impl SyncOptions {
    /// To every queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// To this queue, or to every one.
    #[must_use]
    pub fn to_queue(mut self, queue: Option<QueueName>) -> Self {
        self.queue = queue;
        self
    }

    /// Whether replicas take them over a later revision.
    #[must_use]
    pub const fn forced(mut self, forced: bool) -> Self {
        self.forced = forced;
        self
    }
}

/// What became of a batch of syncs.
#[derive(Debug, Default)]
pub struct Synced {
    /// The rows of the outbox.
    pub ids: Vec<i64>,
    /// How many instances were not there any more, or not for replicas.
    pub gone: usize,
    /// Rows that cannot be sent.
    pub failed: Vec<FailedRow>,
}
