//! The end of a load with `--clear`: what the dump does not have is removed.

use chrono::{DateTime, Utc};
use cqrs_core::InstanceKey;

use super::Loaded;
use crate::{
    Applied, DeleteLimit, ReplicaSession,
    diff::{DiffError, DiffOf, now, table},
    reconcile::{KnownState, ReconcileStore, ReconcileTable, ReplicaReader, ReplicaRow},
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
/// late message brings a row back. The table is read twice: if there are more such rows than `limit`
/// allows, none is removed.
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
    limit: DeleteLimit,
) -> Result<Cleared, DiffError> {
    let mut cleared = Cleared::default();
    let Some(cqrs_id) = &loaded.seen.cqrs_id else {
        return Ok(cleared);
    };
    let mut reader = of.store.reader().await?;
    let table = table(of, &mut reader, cqrs_id).await?;
    let (mut rows, mut deletes) = (0, 0);
    let mut pages = Pages::new(&table, loaded, began);
    while let Some((read, gone)) = pages.next(&mut reader).await? {
        rows += read;
        deletes += gone.len() as u64;
    }
    limit.check(deletes, rows)?;
    let mut session = of.store.session().await?;
    let mut pages = Pages::new(&table, loaded, began);
    while let Some((_, gone)) = pages.next(&mut reader).await? {
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

/// A row to be removed, with what is known of it.
type Gone = (InstanceKey, Option<KnownState>);

/// The rows of a table, a page at a time, for those that a load has not brought.
struct Pages<'t> {
    table: &'t ReconcileTable,
    loaded: &'t Loaded,
    began: DateTime<Utc>,
    last: Option<ReplicaRow>,
}

impl<'t> Pages<'t> {
    fn new(table: &'t ReconcileTable, loaded: &'t Loaded, began: DateTime<Utc>) -> Self {
        Self {
            table,
            loaded,
            began,
            last: None,
        }
    }

    /// How many rows the next page has, and those of them that are to be removed.
    async fn next<R: ReplicaReader>(
        &mut self,
        reader: &mut R,
    ) -> Result<Option<(u64, Vec<Gone>)>, DiffError> {
        let page = reader.page(self.table, self.last.as_ref(), BATCH).await?;
        let Some(end) = page.last().cloned() else {
            return Ok(None);
        };
        self.last = Some(end);
        let pks: Vec<_> = page.iter().map(|row| row.instance_pk.clone()).collect();
        let (queue, cqrs_id) = (&self.table.queue, &self.table.cqrs_id);
        let states = reader.states(queue, cqrs_id, &pks).await?;
        let seen = &self.loaded.seen;
        let mut gone = Vec::new();
        for row in &page {
            let known = states
                .iter()
                .find(|state| state.instance_pk == row.instance_pk);
            let stays = seen.not_newer.contains(&row.instance_pk)
                || known.is_some_and(|known| is_newer(known, self.began, seen.latest));
            if let (false, Ok(key)) = (stays, row.instance_key()) {
                gone.push((key, known.cloned()));
            }
        }
        Ok(Some((page.len() as u64, gone)))
    }
}

/// Whether this load, or a live event since, has brought the state, or it is of a change after those of
/// the dump.
fn is_newer(known: &KnownState, began: DateTime<Utc>, latest: Option<DateTime<Utc>>) -> bool {
    !known.deleted && known.applied_at >= began
        || latest.is_some_and(|latest| known.updated > latest)
}
