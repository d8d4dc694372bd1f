//! Recording.

use std::collections::HashMap;

use cqrs_core::{CqrsId, InstanceKey, Revision};
use uuid::Uuid;

use crate::{
    Change, OpenTransaction, Problem, RecordError,
    entry::{Effect, Entry, Written},
    fold::{Folded, fold},
};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Recorded {
    /// The revision, if there is an event.
    #[must_use]
    pub const fn revision(&self) -> Option<Revision> {
        match self {
            Self::Event { revision, .. } => Some(*revision),
            Self::Filtered => None,
        }
    }
}

/// Records a change in the caller's transaction: the event exists if and only if the transaction
/// commits.
///
/// It takes the lock of the instance's revision until then, so that the instance's events are in
/// the order of their revisions, their commits and their ids. So write first and record last. On
/// `PostgreSQL` this is one round trip.
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
    let folded = fold(vec![change.into_draft()?])?;
    let mut recorded = write(tx, folded).await?;
    Ok(recorded.pop().unwrap_or(Recorded::Filtered))
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
    let drafts = changes
        .into_iter()
        .map(Change::into_draft)
        .collect::<Result<_, _>>()?;
    write(tx, fold(drafts)?).await
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
    let key = key.into();
    let instance_pk = key.canonical();
    let invalid = |problem: Problem| RecordError::invalid(cqrs_id, &instance_pk, problem);
    CqrsId::new(cqrs_id).map_err(|error| invalid(error.into()))?;
    key.check().map_err(|error| invalid(error.into()))?;

    let made = tx.lock(cqrs_id, &instance_pk).await?;
    let folded = match read(tx).await {
        Ok(change) => of_instance(change, cqrs_id, &instance_pk, made),
        Err(error) => Err(T::read_error(error.into())),
    };
    let recorded = match folded {
        Ok(folded) => write(tx, folded).await,
        Err(error) => Err(error),
    };
    // Without an event the next revision must still be the first. After a failure the transaction
    // may be of no use any more, so what this says then does not matter.
    match recorded {
        Ok(recorded) => {
            let recorded = recorded.first().copied().unwrap_or(Recorded::Filtered);
            if made && recorded == Recorded::Filtered {
                tx.unmake(cqrs_id, &instance_pk).await?;
            }
            Ok(recorded)
        }
        Err(error) => {
            if made {
                let _ = tx.unmake(cqrs_id, &instance_pk).await;
            }
            Err(error)
        }
    }
}

/// The change of an instance whose revision is locked, and was `made` for that just now.
fn of_instance(
    change: Change,
    cqrs_id: &str,
    instance_pk: &str,
    made: bool,
) -> Result<Folded, RecordError> {
    let draft = change.into_draft()?;
    if draft.cqrs_id.as_str() != cqrs_id || draft.instance_pk != instance_pk {
        let problem = Problem::OtherInstance {
            field: "state",
            cqrs_id: draft.cqrs_id.to_string(),
            instance_pk: draft.instance_pk,
        };
        return Err(RecordError::invalid(cqrs_id, instance_pk, problem));
    }
    let mut folded = fold(vec![draft])?;
    if made {
        // The lock has made revision 0, and this event is it.
        for entry in &mut folded.entries {
            entry.effect = match entry.effect {
                Effect::Raise => Effect::Carry { forced: false },
                other => other,
            };
        }
        // Nor was it live before.
        folded.entries.retain(|entry| {
            if entry.only_live() {
                filtered(entry);
            }
            !entry.only_live()
        });
    }
    Ok(folded)
}

async fn write<T>(tx: &mut T, folded: Folded) -> Result<Vec<Recorded>, RecordError>
where
    T: OpenTransaction + ?Sized,
{
    let Folded { entries, entry_of } = folded;
    if entries.is_empty() {
        return Ok(vec![Recorded::Filtered; entry_of.len()]);
    }
    let written = tx.write(&entries).await?;
    let by_id: HashMap<Uuid, Written> = written
        .into_iter()
        .map(|written| (written.message_id, written))
        .collect();
    let recorded: Vec<Recorded> = entries
        .iter()
        .map(|entry| answer(entry, by_id.get(&entry.message_id)))
        .collect();
    Ok(entry_of.into_iter().map(|entry| recorded[entry]).collect())
}

fn answer(entry: &Entry, written: Option<&Written>) -> Recorded {
    let Some(written) = written else {
        return filtered(entry);
    };
    let cqrs_id = entry.cqrs_id.as_str();
    metrics::counter!(
        "cqrs_outbox_recorded_total",
        "cqrs_id" => cqrs_id.to_owned(),
        "signal" => entry.signal.as_str(),
    )
    .increment(1);
    tracing::debug!(
        cqrs_id,
        instance_pk = entry.instance_pk,
        revision = written.revision.0,
        signal = entry.signal.as_str(),
        id = written.id,
        "recorded"
    );
    Recorded::Event {
        id: written.id,
        message_id: written.message_id,
        revision: written.revision,
    }
}

fn filtered(entry: &Entry) -> Recorded {
    metrics::counter!("cqrs_outbox_skipped_total", "reason" => "filtered").increment(1);
    let (cqrs_id, instance_pk) = (entry.cqrs_id.as_str(), &entry.instance_pk);
    tracing::debug!(cqrs_id, instance_pk, "filtered out");
    Recorded::Filtered
}
