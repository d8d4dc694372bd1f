//! The first look: sums of ranges, then the rows of those that differ.

use std::collections::{BTreeSet, HashMap};

use cqrs_core::{
    CqrsId, InstanceKey,
    content::{ContentHash, ContentHasher},
    reconcile::{Difference, Pace, Ranges, RowMark, range_count},
};

use super::{MasterSide, ReconcileError, ReconcileTable, ReplicaReader, ReplicaRow};

/// How many rows a page holds.
const PAGE: usize = 2_000;

/// How many rows of differing ranges are held at a time, about.
const GROUP: u64 = 50_000;

/// How many differences a round deals with at most.
pub(super) const MOST: usize = 100_000;

/// What a first look has found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// How many rows were compared: the larger side's.
    pub(super) rows: u64,
    /// How many rows the replica has.
    pub(super) ours: u64,
    pub(super) ranges: u32,
    pub(super) ranges_differing: u32,
    /// How many rows were exchanged for the sake of ranges that differ.
    pub(super) rows_exchanged: u64,
    /// The ranges that differ, in groups of a size that is looked at at a time.
    pub(super) groups: Vec<BTreeSet<u32>>,
    /// Whether there are more differences than a round deals with.
    pub(super) more: bool,
}

/// A row that seems to differ.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    pub(super) instance_pk: String,
    /// Its key as the master has it, or else the replica.
    pub(super) key: InstanceKey,
}

/// Reads the replica's table no faster than it may.
pub(super) struct Scanner<'r, R> {
    pub(super) reader: &'r mut R,
    pub(super) table: &'r ReconcileTable,
    pub(super) hasher: ContentHasher,
    /// How many rows a second are read at most.
    pub(super) rate: Option<u32>,
}

impl<R: ReplicaReader> Scanner<'_, R> {
    async fn each(
        &mut self,
        mut on: impl FnMut(&ReplicaRow, &mut ContentHasher),
    ) -> Result<(), ReconcileError> {
        let mut pace = Pace::new(self.rate);
        let mut last: Option<ReplicaRow> = None;
        loop {
            let rows = self.reader.page(self.table, last.as_ref(), PAGE).await?;
            for row in &rows {
                on(row, &mut self.hasher);
            }
            let count = rows.len();
            if count < PAGE {
                return Ok(());
            }
            last = rows.into_iter().next_back();
            pace.after(count).await;
        }
    }

    async fn ranges(&mut self, count: u32) -> Result<Ranges, ReconcileError> {
        let mut ranges = Ranges::new(count);
        self.each(|row, hasher| ranges.add(&row.instance_pk, mark(row, hasher)))
            .await?;
        Ok(ranges)
    }

    async fn rows(
        &mut self,
        count: u32,
        wanted: &BTreeSet<u32>,
    ) -> Result<HashMap<String, (String, RowMark)>, ReconcileError> {
        let mut rows = HashMap::new();
        self.each(|row, hasher| {
            if wanted.contains(&Ranges::range_of(&row.instance_pk, count)) {
                let found = (row.key.clone(), mark(row, hasher));
                rows.insert(row.instance_pk.clone(), found);
            }
        })
        .await?;
        Ok(rows)
    }
}

/// What a row is compared by.
pub(super) fn mark(row: &ReplicaRow, hasher: &mut ContentHasher) -> RowMark {
    RowMark {
        revision: row.revision,
        content: hash(&row.content, hasher),
    }
}

/// The hash of content; of what is no JSON, a hash that is like no other.
pub(super) fn hash(content: &str, hasher: &mut ContentHasher) -> ContentHash {
    hasher.hash(content).unwrap_or(ContentHash(0))
}

/// Compares the sums of both tables.
pub(super) async fn sums<R: ReplicaReader, M: MasterSide>(
    master: &mut M,
    scanner: &mut Scanner<'_, R>,
    cqrs_id: &CqrsId,
    fields: &BTreeSet<String>,
    rows: u64,
) -> Result<Look, ReconcileError> {
    let known = scanner.reader.count(scanner.table).await?;
    let count = range_count(rows.max(known));
    let (theirs, ours) = tokio::join!(master.ranges(cqrs_id, fields, count), scanner.ranges(count));
    let (theirs, ours) = (theirs.map_err(ReconcileError::Master)?, ours?);
    let Some(differing) = ours.differing(&theirs) else {
        let problem = "it answered with another number of ranges than was asked for";
        return Err(ReconcileError::Master(problem.into()));
    };
    Ok(Look {
        rows: ours.rows().max(theirs.rows()),
        ours: ours.rows(),
        ranges: count,
        ranges_differing: u32::try_from(differing.len()).unwrap_or(u32::MAX),
        groups: groups(differing),
        ..Look::default()
    })
}

/// The rows of a group of ranges that seem to differ, and how many rows were exchanged for them.
pub(super) async fn suspects<R: ReplicaReader, M: MasterSide>(
    master: &mut M,
    scanner: &mut Scanner<'_, R>,
    cqrs_id: &CqrsId,
    fields: &BTreeSet<String>,
    (count, group): (u32, &BTreeSet<u32>),
) -> Result<(Vec<Suspect>, u64), ReconcileError> {
    let (theirs, ours) = tokio::join!(
        master.rows(cqrs_id, fields, count, group),
        scanner.rows(count, group)
    );
    let (theirs, ours) = (theirs.map_err(ReconcileError::Master)?, ours?);
    let exchanged = theirs.len() as u64;
    let mut found = differing(theirs, ours);
    found.sort_by(|one, other| one.instance_pk.cmp(&other.instance_pk));
    Ok((found, exchanged))
}

fn groups(differing: Vec<(u32, u64)>) -> Vec<BTreeSet<u32>> {
    let mut groups: Vec<BTreeSet<u32>> = Vec::new();
    let mut size = GROUP;
    for (range, rows) in differing {
        if size >= GROUP {
            groups.push(BTreeSet::new());
            size = 0;
        }
        size = size.saturating_add(rows);
        if let Some(group) = groups.last_mut() {
            group.insert(range);
        }
    }
    groups
}

fn differing(
    theirs: HashMap<String, (InstanceKey, RowMark)>,
    mut ours: HashMap<String, (String, RowMark)>,
) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for (instance_pk, (key, mark)) in theirs {
        let our_mark = ours.remove(&instance_pk).map(|(_, mark)| mark);
        if Difference::between(Some(mark), our_mark).is_some() {
            suspects.push(Suspect { instance_pk, key });
        }
    }
    for (instance_pk, (key, _)) in ours {
        let row = ReplicaRow::new(key, instance_pk.clone(), None, String::new());
        match row.instance_key() {
            Ok(key) => suspects.push(Suspect { instance_pk, key }),
            Err(error) => tracing::warn!(
                instance_pk,
                error = &error as &dyn std::error::Error,
                "a row of the replica has no key that messages could have"
            ),
        }
    }
    suspects
}
