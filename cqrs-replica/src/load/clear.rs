//! The end of a load with `--clear`: what the dump does not have is removed.

use chrono::{DateTime, Utc};

use super::Loaded;
use crate::{
    Applied, ReplicaSession,
    diff::{DiffError, DiffOf, now, table},
    reconcile::{KnownState, ReconcileStore, ReplicaReader, ReplicaRow},
    removal::remove,
};

/// How many rows are looked at, and removed in one transaction, at most.
const BATCH: usize = 500;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleared {
    /// Rows that the dump does not have.
    pub removed: u64,
    /// Such rows that could not be removed; they are letters.
    pub failed: u64,
}

/// The time by the replica's database: to be asked for before a load that is to be followed by
/// [`clear`].
///
/// # Errors
/// A failure of the database.
///
/// # Cancel safety
/// Safe.
pub async fn begin<S: ReconcileStore>(of: &DiffOf<S>) -> Result<DateTime<Utc>, DiffError> {
    let mut reader = of.store.reader().await?;
    let now = now(of, &mut reader).await?;
    reader.close().await;
    Ok(now)
}

/// Removes the rows of the model's table that a whole and flawless load, begun at `began`, has not
/// brought, and that have not changed since the dump was made. States and tombstones stay, so that no
/// late message brings a row back.
///
/// # Errors
/// [`DiffError`]. What was removed stays so.
///
/// # Cancel safety
/// Each batch is removed as a whole or not at all.
pub async fn clear<S: ReconcileStore>(
    of: &DiffOf<S>,
    loaded: &Loaded,
    began: DateTime<Utc>,
) -> Result<Cleared, DiffError> {
    let mut cleared = Cleared::default();
    let Some(cqrs_id) = &loaded.seen.cqrs_id else {
        return Ok(cleared);
    };
    let mut reader = of.store.reader().await?;
    let table = table(of, &mut reader, cqrs_id).await?;
    let mut session = of.store.session().await?;
    let mut last: Option<ReplicaRow> = None;
    loop {
        let page = reader.page(&table, last.as_ref(), BATCH).await?;
        let Some(end) = page.last().cloned() else {
            break;
        };
        last = Some(end);
        let pks: Vec<_> = page.iter().map(|row| row.instance_pk.clone()).collect();
        let states = reader.states(&of.queue, cqrs_id, &pks).await?;
        let mut gone = Vec::new();
        for row in &page {
            let known = states
                .iter()
                .find(|state| state.instance_pk == row.instance_pk);
            let stays = loaded.seen.not_newer.contains(&row.instance_pk)
                || known.is_some_and(|known| is_newer(known, began, loaded.seen.latest));
            if let (false, Ok(key)) = (stays, row.instance_key()) {
                gone.push((key, known.cloned()));
            }
        }
        for answer in remove(&mut reader, &mut session, &of.models, &table, gone).await? {
            match answer {
                Applied::Applied { .. } => cleared.removed += 1,
                Applied::Skipped(_) => {}
                Applied::Waiting(_) | Applied::Retrying { .. } | Applied::Dead { .. } => {
                    cleared.failed += 1;
                }
            }
        }
    }
    session.close().await;
    reader.close().await;
    Ok(cleared)
}

/// Whether this load, or a live event since, has brought the state, or it is of a change after those of
/// the dump.
fn is_newer(known: &KnownState, began: DateTime<Utc>, latest: Option<DateTime<Utc>>) -> bool {
    !known.deleted && known.applied_at >= began
        || latest.is_some_and(|latest| known.updated > latest)
}
