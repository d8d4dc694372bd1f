//! Rows that will not be sent again by themselves: `cqrs-relay dead`.

use std::fmt;

use chrono::SecondsFormat;
use cqrs_core::StoreError;
use cqrs_outbox::{DeadRow, OutboxSession, OutboxStore, Retried};
use serde::Serialize;

/// Which dead rows are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those with these ids.
    Ids(Vec<i64>),
    /// All of them.
    All,
}

impl Which {
    fn ids(&self) -> Option<&[i64]> {
        match self {
            Self::Ids(ids) => Some(ids),
            Self::All => None,
        }
    }
}

/// Dead rows, newest first.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn list<S: OutboxStore>(store: &S, limit: usize) -> Result<Vec<DeadRow>, StoreError> {
    let mut session = store.session().await?;
    let rows = session.dead_list(limit).await?;
    session.close().await;
    Ok(rows)
}

/// One dead row.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn show<S: OutboxStore>(store: &S, id: i64) -> Result<Option<DeadRow>, StoreError> {
    let mut session = store.session().await?;
    let row = session.dead_show(id).await?;
    session.close().await;
    Ok(row)
}

/// Puts dead rows back into the outbox. Those whose instance has had a later revision since are
/// only marked superseded, unless `force`.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: some rows may be back and others not; do it again.
pub async fn retry<S: OutboxStore>(
    store: &S,
    which: &Which,
    force: bool,
) -> Result<Retried, StoreError> {
    let mut session = store.session().await?;
    let retried = session.dead_retry(which.ids(), force).await?;
    session.close().await;
    Ok(retried)
}

/// Deletes dead rows. Answers how many.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: all are deleted or none.
pub async fn discard<S: OutboxStore>(store: &S, which: &Which) -> Result<u64, StoreError> {
    let mut session = store.session().await?;
    let discarded = session.dead_discard(which.ids()).await?;
    session.close().await;
    Ok(discarded)
}

/// A dead row to be shown. `Display` is one line without the body, `Serialize` has everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// Its id among the dead rows.
    pub id: i64,
    /// The id it had in the outbox.
    pub outbox_id: i64,
    /// Its identity on the broker.
    pub message_id: String,
    /// The model.
    pub cqrs_id: String,
    /// The canonical key.
    pub instance_pk: String,
    /// What happened.
    pub signal: String,
    /// The one queue a direct sync was for.
    pub queue: Option<String>,
    /// The revision.
    pub revision: i64,
    /// When it was recorded, if that is a time.
    pub created_at: Option<String>,
    /// When it was given up.
    pub died_at: String,
    /// How often it had failed.
    pub attempts: u32,
    /// The class of the reason.
    pub reason: String,
    /// The reason in words.
    pub error: Option<String>,
    /// Whether a later revision has been recorded since.
    pub superseded: bool,
    /// The body, as text.
    pub body: String,
}

impl From<&DeadRow> for Shown {
    fn from(row: &DeadRow) -> Self {
        let time =
            |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            id: row.id,
            outbox_id: row.outbox_id,
            message_id: row.message_id.clone(),
            cqrs_id: row.cqrs_id.clone(),
            instance_pk: row.instance_pk.clone(),
            signal: row.signal.clone(),
            queue: row.queue.clone(),
            revision: row.revision.0,
            created_at: row.created_at.map(time),
            died_at: time(row.died_at),
            attempts: row.attempts,
            reason: row.reason.clone(),
            error: row.error.clone(),
            superseded: row.superseded,
            body: String::from_utf8_lossy(&row.body).into_owned(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {}  {} {} {} revision {}",
            self.id, self.died_at, self.signal, self.cqrs_id, self.instance_pk, self.revision
        )?;
        if let Some(queue) = &self.queue {
            write!(f, " for {queue}")?;
        }
        write!(f, "  {}", self.reason)?;
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        if self.superseded {
            write!(f, "  (superseded)")?;
        }
        Ok(())
    }
}
