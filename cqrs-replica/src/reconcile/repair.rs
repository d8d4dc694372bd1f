//! Mending what is wrong.

use std::time::Duration;

use cqrs_core::{
    QueueName,
    reconcile::{Difference, RowMark},
};
use tokio::time::Instant;

use super::{
    MasterSide, ReconcileError, ReplicaReader,
    compare::{Compared, Comparer},
    look::Suspect,
};
use crate::{Models, ReplicaStore, removal::remove};

/// How many instances are mended at a time.
const BATCH: usize = 500;

/// How often is looked whether it has helped.
const POLL: Duration = Duration::from_millis(250);

/// Has the master send again what the replica lacks or has wrongly, and deletes what it should not
/// have.
pub(super) async fn repair<S, R, M>(
    sides: &mut Comparer<'_, R, M>,
    session: &mut S::Session,
    models: &Models<S>,
    queue: &QueueName,
    wrong: &[Compared],
) -> Result<(), ReconcileError>
where
    S: ReplicaStore,
    R: ReplicaReader,
    M: MasterSide,
{
    let (extra, lacking): (Vec<_>, Vec<_>) = wrong
        .iter()
        .partition(|row| row.difference == Some(Difference::Extra));
    let (forced, plain): (Vec<_>, Vec<_>) = lacking.into_iter().partition(|row| is_ahead(row));
    for (rows, forced) in [(plain, false), (forced, true)] {
        for batch in rows.chunks(BATCH) {
            // A tombstone at the master's revision, or above it, would hold up the sync. Should the sync
            // not come, the instance is missing as before, and still known by its revision.
            let dead: Vec<_> = batch
                .iter()
                .filter(|row| row.known.as_ref().is_some_and(|known| known.deleted))
                .map(|row| row.instance_pk.clone())
                .collect();
            if !dead.is_empty() {
                sides.reader.undo_deletes(sides.table, &dead).await?;
            }
            let keys = batch.iter().map(|row| row.key.clone()).collect();
            let sent = sides.master.send_again(sides.cqrs_id, queue, keys, forced);
            sent.await.map_err(ReconcileError::Master)?;
        }
    }
    for batch in extra.chunks(BATCH) {
        let rows = batch.iter().map(|row| (row.key.clone(), row.known.clone()));
        remove(sides.reader, session, models, sides.table, rows.collect()).await?;
    }
    Ok(())
}

/// Looks at these until all are well or the time is up. Answers with those that are not.
pub(super) async fn left<R: ReplicaReader, M: MasterSide>(
    sides: &mut Comparer<'_, R, M>,
    wrong: &[Compared],
    patience: Duration,
) -> Result<Vec<Compared>, ReconcileError> {
    let deadline = Instant::now() + patience;
    let mut left: Vec<Suspect> = wrong.iter().map(suspect).collect();
    loop {
        let compared = sides.compare(left.into_iter()).await?;
        let compared: Vec<_> = compared
            .into_iter()
            .filter(|row| row.difference.is_some())
            .collect();
        if compared.is_empty() || Instant::now() >= deadline {
            return Ok(compared);
        }
        left = compared.iter().map(suspect).collect();
        tokio::time::sleep(POLL).await;
    }
}

pub(super) fn suspect(row: &Compared) -> Suspect {
    Suspect {
        instance_pk: row.instance_pk.clone(),
        key: row.key.clone(),
    }
}

/// Whether the replica knows a later revision than the master has.
fn is_ahead(row: &Compared) -> bool {
    let theirs = row.master.map_or(0, |mark: RowMark| mark.revision);
    row.known
        .as_ref()
        .is_some_and(|known| known.revision > theirs)
}
