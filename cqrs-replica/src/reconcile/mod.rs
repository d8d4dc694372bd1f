//! Comparing a replica with its master, telling what is wrong from what is late, and mending it.
//!
//! A round looks at sums of ranges first ([`cqrs_core::reconcile`]) and at the rows of those that
//! differ. What seems to differ is compared by key, together with what is on its way: rows of the
//! outbox and letters. For the rest it waits until the queue has been seen empty and every worker has
//! acknowledged what it had by then, and compares once more. What differs in the same way both times,
//! and has nothing on its way, is wrong.

mod compare;
#[cfg(feature = "reconcile")]
mod direct;
mod error;
mod fence;
mod look;
mod master;
mod reader;
mod remote;
mod repair;
mod report;
mod table;

use std::{collections::HashMap, time::Duration};

use cqrs_core::{CqrsId, QueueName, StoreError, content::ContentHasher, reconcile::Difference};

#[cfg(feature = "reconcile")]
pub use direct::DirectMaster;
pub use error::ReconcileError;
pub use fence::QueueLook;
pub use master::{MasterFault, MasterInstance, MasterModel, MasterSide};
pub use reader::{
    KnownState, LetterOf, Loss, ReconcileStore, ReplicaReader, ReplicaRow, WorkersSeen,
};
pub use remote::RemoteMaster;
pub use report::{FoundKey, FoundRow, FoundState, Reconciled};
pub use table::ReconcileTable;

use self::{
    compare::{Compared, Comparer},
    look::{Look, Scanner},
};
use crate::{
    DeleteLimit, Models, ReplicaSession, TableModel, TooManyDeletes,
    apply::Failed,
    table::{Description, TablePlan},
};

/// How a round is gone about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReconcileOptions {
    /// The replica's queue.
    pub queue: QueueName,
    /// Whether what is wrong is mended.
    pub repair: bool,
    /// How many rows may be deleted. If there are more, nothing is mended.
    pub max_deletes: DeleteLimit,
    /// How long it waits for what is on its way, and after repairing for what was sent.
    pub patience: Duration,
    /// How many rows of the replica a second are read at most.
    pub rate: Option<u32>,
}

impl ReconcileOptions {
    /// Finds and mends nothing, waits 30 s, reads as fast as it can.
    #[must_use]
    pub const fn new(queue: QueueName) -> Self {
        Self {
            queue,
            repair: false,
            max_deletes: DeleteLimit::Tenth,
            patience: Duration::from_secs(30),
            rate: None,
        }
    }
}

/// Reconciles a model with a table.
///
/// # Errors
/// The model has no table, or a database, the broker or the master fails.
///
/// # Cancel safety
/// Safe: at the worst some of what is wrong has been mended.
pub async fn reconcile<S: ReconcileStore, M: MasterSide>(
    store: &S,
    models: &Models<S>,
    master: &mut M,
    queue_is_empty: &mut QueueLook,
    cqrs_id: &CqrsId,
    options: &ReconcileOptions,
) -> Result<Reconciled, ReconcileError> {
    let model = table_model(models, cqrs_id)?;
    let mut reader = store.reader().await?;
    let mut table = reader.table(&options.queue, cqrs_id, model).await?;
    let theirs = master.model(cqrs_id).await;
    let theirs = theirs.map_err(ReconcileError::Master)?;
    let (not_compared, not_published) = table.unpublished(&theirs.fields);
    let fields = table.restrict(&theirs.fields);
    let hasher = ContentHasher::of_fields(fields.clone());
    let mut scanner = Scanner {
        reader: &mut reader,
        table: &table,
        hasher: hasher.clone(),
        rate: options.rate,
    };
    let mut look = look::sums(master, &mut scanner, cqrs_id, &fields, theirs.rows).await?;
    // Group by group, so that what only seems to differ makes room for what does.
    let mut first = Vec::new();
    for group in std::mem::take(&mut look.groups) {
        if first.len() >= look::MOST {
            look.more = true;
            break;
        }
        let mut scanner = Scanner {
            reader: &mut reader,
            table: &table,
            hasher: hasher.clone(),
            rate: options.rate,
        };
        let group = (look.ranges, &group);
        let (suspects, exchanged) =
            look::suspects(master, &mut scanner, cqrs_id, &fields, group).await?;
        look.rows_exchanged += exchanged;
        let mut sides = Comparer {
            master,
            reader: &mut reader,
            table: &table,
            cqrs_id,
            hasher: hasher.clone(),
        };
        let compared = sides.compare(suspects.into_iter()).await?;
        first.extend(compared.into_iter().filter(|row| row.difference.is_some()));
    }
    let mut report = Reconciled::new(cqrs_id, &look);
    report.not_compared = not_compared;
    report.not_published = not_published;
    let mut sides = Comparer {
        master,
        reader: &mut reader,
        table: &table,
        cqrs_id,
        hasher,
    };
    let mut differing = HashMap::new();
    for row in first {
        match row.difference {
            Some(_) if row.is_late() => report.late(&row),
            Some(_) => {
                differing.insert(row.instance_pk.clone(), row);
            }
            None => {}
        }
    }
    if differing.is_empty() {
        reader.close().await;
        return Ok(report);
    }
    let passed = fence::passed(
        sides.reader,
        &options.queue,
        queue_is_empty,
        options.patience,
    );
    if let Err(behind) = passed.await? {
        report.behind(behind, differing.len());
        reader.close().await;
        return Ok(report);
    }
    let mut suspects: Vec<_> = differing.values().map(repair::suspect).collect();
    suspects.sort_by(|one, other| one.instance_pk.cmp(&other.instance_pk));
    let mut wrong = sides.compare(suspects.into_iter()).await?;
    wrong.retain(|row| {
        let before = differing.get(&row.instance_pk);
        let same = before
            .is_some_and(|before| (before.master, before.replica) == (row.master, row.replica));
        if row.difference.is_none() {
            return false;
        }
        if !same {
            report.changed();
            return false;
        }
        if row.is_late() {
            report.late(row);
        }
        !row.is_late()
    });
    let found = wrong
        .iter()
        .filter_map(|row| Some(FoundRow::new(row, row.difference?)));
    report.found = found.collect();
    if options.repair {
        report.refused = refused(&wrong, &look, options);
    }
    if options.repair && report.refused.is_none() && !wrong.is_empty() {
        let mut session = store.session().await?;
        repair::repair(&mut sides, &mut session, models, &options.queue, &wrong).await?;
        session.close().await;
        let left = repair::left(&mut sides, &wrong, options.patience).await?;
        let mut left: HashMap<_, _> = left.into_iter().map(|row| (row.key.clone(), row)).collect();
        for row in &mut report.found {
            match left.remove(&row.key.0) {
                None => row.state = FoundState::Repaired,
                // It has become a dead letter, perhaps.
                Some(compared) => row.dead_letters = compared.dead_letters,
            }
        }
    }
    reader.close().await;
    Ok(report)
}

/// Why nothing is to be mended: a wrong master would have its rows sent as well as ours deleted.
fn refused(wrong: &[Compared], look: &Look, options: &ReconcileOptions) -> Option<TooManyDeletes> {
    let extra = |row: &&Compared| row.difference == Some(Difference::Extra);
    let deletes = wrong.iter().filter(extra).count() as u64;
    // Of more differences than a round deals with, the next rounds would delete their share.
    let rows = if look.more { 0 } else { look.ours };
    let checked = options.max_deletes.check(deletes, rows);
    checked.err().map(|refused| TooManyDeletes {
        rows: refused.rows.max(look.ours),
        ..refused
    })
}

/// Which models can be reconciled.
#[must_use]
pub fn reconcilable<S: ReconcileStore>(models: &Models<S>) -> Vec<CqrsId> {
    let tables = models.iter().filter(|model| model.target.table().is_some());
    let mut ids: Vec<_> = tables.map(|model| model.cqrs_id.clone()).collect();
    ids.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    ids
}

fn table_model<'m, S: ReconcileStore>(
    models: &'m Models<S>,
    cqrs_id: &CqrsId,
) -> Result<&'m TableModel, ReconcileError> {
    let problem = |problem: String| ReconcileError::Model {
        cqrs_id: cqrs_id.to_string(),
        problem,
    };
    let Some(model) = models.get(cqrs_id) else {
        let known: Vec<_> = models.iter().map(|m| m.cqrs_id.to_string()).collect();
        return Err(problem(format!(
            "it is unknown here; known are: {}",
            known.join(", ")
        )));
    };
    model.target.table().ok_or_else(|| {
        problem("its events go to a handler, and there is no table to compare".to_owned())
    })
}

/// How a model's table is read, or all that stands in the way.
pub(crate) fn plan_of(
    cqrs_id: &CqrsId,
    model: &TableModel,
    description: Option<Description>,
) -> Result<TablePlan, StoreError> {
    TablePlan::new(model, description).map_err(|problems| StoreError::Schema {
        problem: format!("model {cqrs_id}: {}", problems.join("; ")),
        source: None,
    })
}

/// What the database says of a statement of ours on the user's table.
pub(crate) fn unfit(failed: Failed) -> StoreError {
    match failed {
        Failed::Store(error) => error,
        Failed::Outdated => StoreError::Backend("the table has changed".into()),
        Failed::Fault { fault, .. } => StoreError::Schema {
            problem: fault.error,
            source: None,
        },
    }
}
