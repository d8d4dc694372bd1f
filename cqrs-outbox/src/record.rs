//! Recording.
//!
//! | counter | labels |
//! |---|---|
//! | `cqrs_outbox_recorded_total` | `cqrs_id`, `signal`; new events |
//! | `cqrs_outbox_skipped_total` | `reason`: `filtered`, `not_produced`, `coalesced` into an earlier event, `undone` |

use cqrs_core::{InstanceKey, Revision};
use uuid::Uuid;

use crate::{Change, OpenTransaction, RecordError, Recorder, change::Draft, entry::Entry};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// It is an event, once the transaction commits.
    Event {
        /// Its place in the outbox.
        id: i64,
        /// Its identity on the broker.
        message_id: Uuid,
        /// The instance's revision.
        revision: Revision,
    },
    /// Its model's filter keeps it from replicas, and they do not have the instance: nothing was
    /// written.
    Filtered,
    /// Its model is not published ([`Master::PRODUCE`](crate::Master::PRODUCE)): nothing was
    /// written.
    NotProduced,
    /// It ends what began in this transaction: replicas never hear of it, and what was recorded of
    /// it is taken back.
    Undone,
}

impl Recorded {
    /// The revision, if there is an event.
    #[must_use]
    pub const fn revision(&self) -> Option<Revision> {
        match self {
            Self::Event { revision, .. } => Some(*revision),
            Self::Filtered | Self::NotProduced | Self::Undone => None,
        }
    }

    /// The event's place in the outbox, if there is one.
    #[must_use]
    pub const fn id(&self) -> Option<i64> {
        match self {
            Self::Event { id, .. } => Some(*id),
            Self::Filtered | Self::NotProduced | Self::Undone => None,
        }
    }

    /// A new event.
    pub(crate) fn event(entry: &Entry, id: i64, revision: Revision) -> Self {
        let cqrs_id = entry.cqrs_id.as_str();
        metrics::counter!(
            "cqrs_outbox_recorded_total",
            "cqrs_id" => cqrs_id.to_owned(),
            "signal" => entry.signal.as_str(),
        )
        .increment(1);
        Self::told(entry, id, revision, "recorded")
    }

    /// An event that this transaction had recorded, with another state.
    pub(crate) fn coalesced(entry: &Entry, id: i64, revision: Revision) -> Self {
        skipped("coalesced");
        Self::told(entry, id, revision, "recorded in place of an earlier state")
    }

    pub(crate) fn filtered(entry: &Entry) -> Self {
        skipped("filtered");
        let (cqrs_id, instance_pk) = (entry.cqrs_id.as_str(), &entry.instance_pk);
        tracing::debug!(cqrs_id, instance_pk, "filtered out");
        Self::Filtered
    }

    pub(crate) fn not_produced() -> Self {
        skipped("not_produced");
        Self::NotProduced
    }

    pub(crate) fn undone(draft: &Draft) -> Self {
        skipped("undone");
        let (cqrs_id, instance_pk) = (draft.cqrs_id.as_str(), &draft.instance_pk);
        tracing::debug!(cqrs_id, instance_pk, "began and ended in one transaction");
        Self::Undone
    }

    fn told(entry: &Entry, id: i64, revision: Revision, what: &'static str) -> Self {
        tracing::debug!(
            cqrs_id = entry.cqrs_id.as_str(),
            instance_pk = entry.instance_pk,
            revision = revision.0,
            signal = entry.signal.as_str(),
            id,
            "{what}"
        );
        Self::Event {
            id,
            message_id: entry.message_id,
            revision,
        }
    }
}

/// Counts a change that is no event of its own.
fn skipped(reason: &'static str) {
    metrics::counter!("cqrs_outbox_skipped_total", "reason" => reason).increment(1);
}

/// Records a change in the caller's transaction: the event exists if and only if the transaction
/// commits.
///
/// It takes the lock of the instance's revision until then, so that the instance's events are in
/// the order of their revisions, their commits and their ids. So write first and record last. On
/// `PostgreSQL` this is one round trip.
///
/// Several changes of one instance in one transaction become one event: the last state, the first of
/// the old values, and the identity of the first. A save and then a delete is a delete; what is created
/// and deleted in one transaction is nothing ([`Recorded::Undone`]); what a savepoint takes back is
/// taken back. [`record_each`] switches this off. On `SQLite` it needs a transaction that
/// [`begin`](crate::begin) opened; in any other each change is an event of its own.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example(pool: sqlx::PgPool, account: impl cqrs_outbox::Master) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_outbox::{self as outbox, Change};
///
/// let mut tx = outbox::begin(&pool).await?;
/// // … the change itself, in `tx`
/// outbox::record(&mut tx, Change::saved(&account)).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`RecordError::Invalid`] and [`RecordError::NotInTransaction`] before anything is written;
/// otherwise a failure of the database, after which the transaction has to be rolled back.
///
/// # Cancel safety
/// If the future is dropped, the event may have been written or not: roll the transaction back.
pub async fn record<T>(tx: &mut T, change: Change) -> Result<Recorded, RecordError>
where
    T: OpenTransaction + ?Sized,
{
    Recorder::new().record(tx, change).await
}

/// Records many changes at once, on `PostgreSQL` in one round trip.
///
/// Answers in the order of the changes, which is also that of the events' ids. Several changes of
/// one instance become one event (the last state, the first of the old values; a save and then a
/// delete is a delete), which each of them is answered with. All are checked before any is
/// written. Locks are taken in an order that does not depend on that of the changes, so that two
/// such calls do not deadlock.
///
/// # Errors
/// As [`record`]; one change that is invalid keeps all from being written.
///
/// # Cancel safety
/// As [`record`].
pub async fn record_all<T>(
    tx: &mut T,
    changes: impl IntoIterator<Item = Change> + Send,
) -> Result<Vec<Recorded>, RecordError>
where
    T: OpenTransaction + ?Sized,
{
    Recorder::new().record_all(tx, changes).await
}

/// Records each change as an event of its own, with a revision of its own: for those who want every
/// step of an instance that changes several times in a transaction. A later [`record`] of the instance in
/// the same transaction becomes one event with the last step. Otherwise as [`record_all`]; on
/// `PostgreSQL` a round trip for each run of changes in which no instance comes twice.
///
/// # Errors
/// As [`record_all`].
///
/// # Cancel safety
/// As [`record`].
pub async fn record_each<T>(
    tx: &mut T,
    changes: impl IntoIterator<Item = Change> + Send,
) -> Result<Vec<Recorded>, RecordError>
where
    T: OpenTransaction + ?Sized,
{
    Recorder::new().record_each(tx, changes).await
}

/// Records the state that `read` finds under the lock of the instance's revision: for changes
/// whose outcome the caller does not hold, such as an update in place by many.
///
/// The lock comes first and the read is a statement of its own. A single statement would wait for
/// the lock and still read its old snapshot, and send stale data under a new revision. `read` gets
/// the transaction and answers with a change of this instance: [`Change::deleted`] if it is gone,
/// [`Change::synced`] to send the state again.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example(tx: &mut sqlx::Transaction<'_, sqlx::Postgres>) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_outbox::{self as outbox, Change, Signal};
///
/// outbox::record_current(tx, "account", 42, async |tx| {
///     let status: Option<String> = sqlx::query_scalar("SELECT status FROM accounts WHERE id = 42")
///         .fetch_optional(&mut **tx)
///         .await?;
///     Ok::<_, sqlx::Error>(match status {
///         Some(status) => Change::json("account", 42, Signal::Save, serde_json::json!({"status": status})),
///         None => Change::json("account", 42, Signal::Delete, ()),
///     })
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`record`]; [`RecordError::Read`] if `read` failed, or what the database said if that is
/// what it failed with.
///
/// # Cancel safety
/// As [`record`].
pub async fn record_current<T, F, E>(
    tx: &mut T,
    cqrs_id: &str,
    key: impl Into<InstanceKey>,
    read: F,
) -> Result<Recorded, RecordError>
where
    T: OpenTransaction,
    F: AsyncFnOnce(&mut T) -> Result<Change, E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Recorder::new().record_current(tx, cqrs_id, key, read).await
}

/// Records the states that `read` finds of many instances of a model under the locks of their
/// revisions, in one go: the way to send rows together with those related to them, loaded for all
/// instances in one query. Otherwise as [`record_current`].
///
/// `read` gets the transaction and the keys, and answers with changes of these instances in any
/// order; of an instance without a change nothing is recorded.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example(tx: &mut sqlx::Transaction<'_, sqlx::Postgres>) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_outbox::{self as outbox, Change, InstanceKey, Signal};
///
/// const ORDERS: &str = "SELECT o.id, json_build_object('id', o.id, 'lines', json_agg(l)) \
///      FROM orders AS o JOIN order_lines AS l ON l.order_id = o.id WHERE o.id = ANY($1) GROUP BY o.id";
/// let ids = [7_i64, 8];
/// let keys = ids.map(InstanceKey::from).to_vec();
/// outbox::record_current_all(tx, "order", keys, async |tx, _| {
///     let orders: Vec<(i64, serde_json::Value)> =
///         sqlx::query_as(ORDERS).bind(ids).fetch_all(&mut **tx).await?;
///     let change = |(id, data)| Change::json("order", id, Signal::Save, data);
///     Ok::<_, sqlx::Error>(orders.into_iter().map(change).collect())
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`record_current`].
///
/// # Cancel safety
/// As [`record`].
pub async fn record_current_all<T, F, E>(
    tx: &mut T,
    cqrs_id: &str,
    keys: Vec<InstanceKey>,
    read: F,
) -> Result<Vec<Recorded>, RecordError>
where
    T: OpenTransaction,
    F: AsyncFnOnce(&mut T, &[InstanceKey]) -> Result<Vec<Change>, E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let recorder = Recorder::new();
    recorder.record_current_all(tx, cqrs_id, keys, read).await
}
