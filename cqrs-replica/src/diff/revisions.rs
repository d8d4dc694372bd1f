//! Which instances have another revision here than at the master.

use std::{collections::HashMap, fmt, io::Write};

use cqrs_core::{
    InstanceKey,
    content::ContentHasher,
    stream::{END_OF_KEYS, Lines, StreamHeader, StreamQueue, StreamRow, keys_line, parse_rows},
};
use serde::Serialize;

use super::{DiffError, DiffEvent, DiffOf, Input, model, named, write};
use crate::reconcile::{ReconcileStore, ReconcileTable, ReplicaReader};

/// How many instances are looked up at a time.
const BATCH: usize = 1_000;

/// What a diff has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiffDone {
    /// Instances that the stream named.
    pub compared: u64,
    /// Those that have another revision here, or none.
    pub other_revision: u64,
    /// Those that have the same revision and another content.
    pub other_content: u64,
}

impl fmt::Display for DiffDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} instances compared, {} of another revision",
            self.compared, self.other_revision
        )?;
        if self.other_content > 0 {
            write!(f, ", {} of another content", self.other_content)?;
        }
        Ok(())
    }
}

/// Reads keys and revisions of a master and writes the keys that are to be sent again, each line's in a
/// line of their own. `on` is told of them in words.
///
/// A stream with hashes of content is compared by these too. They are of all that the master publishes,
/// so a replica that keeps less, or has columns of its own under names of fields, finds that all differ:
/// [`reconcile`](crate::reconcile) compares the fields that both have.
///
/// # Errors
/// [`DiffError`].
///
/// # Cancel safety
/// Safe: it reads.
pub async fn diff<S: ReconcileStore>(
    of: &DiffOf<S>,
    lines: &mut Lines,
    out: &mut impl Write,
    mut on: impl FnMut(DiffEvent<'_>),
) -> Result<DiffDone, DiffError> {
    let mut input = Input::open(lines).await?;
    let cqrs_id = input.header.cqrs_id.clone();
    let mut reader = of.store.reader().await?;
    let table = match model(&of.models, &cqrs_id)?.target.table() {
        Some(table) => {
            let mut table = reader.table(&of.queue, &cqrs_id, table).await?;
            table.with_key_fields();
            Some(table)
        }
        None => None,
    };
    let header = StreamHeader {
        queue: StreamQueue::One(of.queue.clone()),
        ..input.header.clone()
    };
    write(out, &header.to_string())?;
    let mut done = DiffDone::default();
    let mut hasher = ContentHasher::new();
    while let Some(rows) = input.next(parse_rows).await? {
        let mut differing = Vec::new();
        for batch in rows.chunks(BATCH) {
            let found = match &table {
                Some(table) => by_table(&mut reader, table, batch, &mut hasher).await?,
                None if batch.iter().any(|row| row.content.is_some()) => {
                    return Err(DiffError::Model {
                        cqrs_id: cqrs_id.to_string(),
                        problem: "its events go to a handler, and there is no content to compare: \
                                  leave --content out"
                            .to_owned(),
                    });
                }
                None => {
                    let pks = batch
                        .iter()
                        .map(|row| row.key.canonical())
                        .collect::<Vec<_>>();
                    let states = reader.states(&of.queue, &cqrs_id, &pks).await?;
                    let live = states.into_iter().filter(|state| !state.deleted);
                    live.map(|state| (state.instance_pk, (state.revision, None)))
                        .collect()
                }
            };
            for row in batch {
                done.compared += 1;
                match difference(row, &found) {
                    None => continue,
                    Some(Other::Revision) => done.other_revision += 1,
                    Some(Other::Content) => done.other_content += 1,
                }
                differing.push(row.key.clone());
            }
        }
        if !differing.is_empty() {
            on(DiffEvent::Note(&named("PK to resync", &differing)));
            write(out, &keys_line(&differing))?;
        }
        on(DiffEvent::Rows(done.compared));
    }
    write(out, END_OF_KEYS)?;
    reader.close().await;
    out.flush().map_err(DiffError::Output)?;
    if done.compared > 1 && done.other_content == done.compared {
        on(DiffEvent::Note(
            "the content of all differs: if this replica does not keep just the fields that the master \
             publishes, compare with `cqrs-replica reconcile`",
        ));
    }
    Ok(done)
}

enum Other {
    Revision,
    Content,
}

/// Revisions and hashes of content by canonical key.
type Found = HashMap<String, (i64, Option<String>)>;

fn difference(row: &StreamRow, found: &Found) -> Option<Other> {
    match found.get(&row.key.canonical()) {
        Some((revision, _)) if *revision != row.revision => Some(Other::Revision),
        Some((_, content)) if row.content.is_some() && *content != row.content => {
            Some(Other::Content)
        }
        Some(_) => None,
        None => Some(Other::Revision),
    }
}

async fn by_table<R: ReplicaReader>(
    reader: &mut R,
    table: &ReconcileTable,
    batch: &[StreamRow],
    hasher: &mut ContentHasher,
) -> Result<Found, DiffError> {
    let keys: Vec<InstanceKey> = batch.iter().map(|row| row.key.clone()).collect();
    let with_content = batch.iter().any(|row| row.content.is_some());
    let rows = reader.rows(table, &keys).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let content = with_content
                .then(|| hasher.hash(&row.content).ok())
                .flatten()
                .map(|hash| hash.to_string());
            (row.instance_pk, (row.revision, content))
        })
        .collect())
}
