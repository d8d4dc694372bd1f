//! Instances that the master may not have any more.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    io::Write,
};

use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, InstanceKey,
    filter::Filter,
    stream::{END_OF_KEYS, Lines, StreamHeader, StreamQueue, keys_line, parse_keys},
};
use serde::Serialize;

use super::{DiffError, DiffEvent, DiffOf, Input, model, write};
use crate::{
    Applied, DeleteLimit, ReplicaSession,
    reconcile::{KnownState, ReconcileStore, ReconcileTable, ReplicaReader, ReplicaRow},
    removal::remove,
};

/// How many instances are deleted in one transaction.
const BATCH: usize = 500;

/// What a `deleted-diff` has listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeletedListed {
    /// Rows of the replica's table.
    pub listed: u64,
    /// Rows whose key is none.
    pub failed: u64,
}

impl fmt::Display for DeletedListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instances listed", self.listed)?;
        match self.failed {
            0 => Ok(()),
            failed => write!(f, ", {failed} failed"),
        }
    }
}

/// Writes the keys of a table's rows in the order of the key, `batch` to a line, under the time by the
/// replica's database.
///
/// # Errors
/// [`DiffError`]; a model without a table has none to list.
///
/// # Cancel safety
/// Safe: it reads.
pub async fn deleted_diff<S: ReconcileStore>(
    of: &DiffOf<S>,
    cqrs_id: &CqrsId,
    filter: &Filter,
    batch: usize,
    out: &mut impl Write,
    mut on: impl FnMut(DiffEvent<'_>),
) -> Result<DeletedListed, DiffError> {
    let mut reader = of.store.reader().await?;
    let mut table = table(of, &mut reader, cqrs_id).await?;
    table.filter(filter)?;
    let header = StreamHeader {
        cqrs_id: cqrs_id.clone(),
        time: now(of, &mut reader).await?,
        queue: StreamQueue::Unsaid,
    };
    write(out, &header.to_string())?;
    let mut done = DeletedListed::default();
    let mut last: Option<ReplicaRow> = None;
    loop {
        let page = reader.page(&table, last.as_ref(), batch.max(1)).await?;
        let Some(end) = page.last().cloned() else {
            break;
        };
        last = Some(end);
        let mut keys = Vec::with_capacity(page.len());
        for row in &page {
            match row.instance_key() {
                Ok(key) => keys.push(key),
                Err(error) => {
                    done.failed += 1;
                    on(DiffEvent::Note(&format!("row {}: {error}", row.key)));
                }
            }
        }
        done.listed += keys.len() as u64;
        if !keys.is_empty() {
            write(out, &keys_line(&keys))?;
        }
        on(DiffEvent::Rows(done.listed));
    }
    if done.failed == 0 {
        write(out, END_OF_KEYS)?;
    }
    reader.close().await;
    out.flush().map_err(DiffError::Output)?;
    Ok(done)
}

/// What a `deleted-sync` has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeletedDone {
    /// Instances deleted.
    pub deleted: u64,
    /// Instances spared, since something was applied to them after the stream had begun.
    pub spared: u64,
    /// Instances that were not there.
    pub absent: u64,
    /// Instances that could not be deleted; they are letters.
    pub failed: u64,
}

impl fmt::Display for DeletedDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instances deleted", self.deleted)?;
        for (count, what) in [
            (self.spared, "spared, which have changed since"),
            (self.absent, "not there"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Deletes the instances that a stream names, but for those that have changed since it began. Each is
/// a DELETE like any other: hooks see it, and a tombstone stays.
///
/// The stream is read to its end first: one that is incomplete, or that names more than `limit` allows,
/// deletes nothing. Its keys are held in memory.
///
/// # Errors
/// [`DiffError`]. What was deleted stays so.
///
/// # Cancel safety
/// Each batch is deleted as a whole or not at all.
pub async fn deleted_sync<S: ReconcileStore>(
    of: &DiffOf<S>,
    lines: &mut Lines,
    limit: DeleteLimit,
    mut on: impl FnMut(DiffEvent<'_>),
) -> Result<DeletedDone, DiffError> {
    let mut input = Input::open(lines).await?;
    let cqrs_id = input.header.cqrs_id.clone();
    let mut reader = of.store.reader().await?;
    let table = table(of, &mut reader, &cqrs_id).await?;
    let mut named = Vec::new();
    while let Some(keys) = input.next(parse_keys).await? {
        named.extend(keys);
    }
    limit.check(named.len() as u64, reader.count(&table).await?)?;
    let mut session = of.store.session().await?;
    let mut done = DeletedDone::default();
    for keys in named.chunks(BATCH) {
        let mut gone = Vec::new();
        for (key, known) in there(&mut reader, &table, keys, &mut done).await? {
            if known
                .as_ref()
                .is_some_and(|known| !known.deleted && known.applied_at > input.header.time)
            {
                done.spared += 1;
            } else {
                gone.push((key, known));
            }
        }
        let keys: Vec<_> = gone.iter().map(|(key, _)| key.clone()).collect();
        let answers = remove(&mut reader, &mut session, &of.models, &table, gone).await?;
        count(&keys, &answers, &mut done, &mut on);
        on(DiffEvent::Rows(done.deleted));
    }
    session.close().await;
    reader.close().await;
    Ok(done)
}

/// The instances that the table has, with what is known of them.
async fn there<R: ReplicaReader>(
    reader: &mut R,
    table: &ReconcileTable,
    keys: &[InstanceKey],
    done: &mut DeletedDone,
) -> Result<Vec<(InstanceKey, Option<KnownState>)>, DiffError> {
    let rows = reader.rows(table, keys).await?;
    done.absent += keys.len().saturating_sub(rows.len()) as u64;
    let pks: Vec<_> = rows.iter().map(|row| row.instance_pk.clone()).collect();
    let states = reader.states(&table.queue, &table.cqrs_id, &pks).await?;
    let mut states: HashMap<_, _> = states
        .into_iter()
        .map(|state| (state.instance_pk.clone(), state))
        .collect();
    let pks: HashSet<_> = pks.into_iter().collect();
    let mut found = Vec::with_capacity(rows.len());
    for key in keys {
        let pk = key.canonical();
        if pks.contains(&pk) {
            found.push((key.clone(), states.remove(&pk)));
        }
    }
    Ok(found)
}

fn count(
    keys: &[InstanceKey],
    answers: &[Applied],
    done: &mut DeletedDone,
    on: &mut impl FnMut(DiffEvent<'_>),
) {
    for (key, answer) in keys.iter().zip(answers) {
        match answer {
            Applied::Applied { .. } => done.deleted += 1,
            Applied::Skipped(_) => done.spared += 1,
            Applied::Waiting(_) | Applied::Retrying { .. } | Applied::Dead { .. } => {
                done.failed += 1;
                on(DiffEvent::Note(&format!(
                    "{} cannot be deleted and is kept as a letter: see `cqrs-replica dead-letters list`",
                    key.to_json()
                )));
            }
        }
    }
}

pub(crate) async fn table<S: ReconcileStore>(
    of: &DiffOf<S>,
    reader: &mut S::Reader,
    cqrs_id: &CqrsId,
) -> Result<ReconcileTable, DiffError> {
    let Some(table) = model(&of.models, cqrs_id)?.target.table() else {
        return Err(DiffError::Model {
            cqrs_id: cqrs_id.to_string(),
            problem:
                "its events go to a handler, and there is no table whose rows could be listed or \
                      deleted"
                    .to_owned(),
        });
    };
    Ok(reader.table(&of.queue, cqrs_id, table).await?)
}

/// The time by the replica's database.
pub(crate) async fn now<S: ReconcileStore>(
    of: &DiffOf<S>,
    reader: &mut S::Reader,
) -> Result<DateTime<Utc>, DiffError> {
    let seen = reader.workers(&of.queue).await?;
    Ok(DateTime::from_timestamp_micros(seen.now).unwrap_or_default())
}
