//! How table models fit their tables, read from the catalog and kept for a while.
//!
//! What the database itself refuses makes a session forget its plans. What a plan refuses, the table
//! may take by now: nobody fails for the sake of a plan that is not recent.

use std::{
    collections::{BTreeSet, HashMap},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use cqrs_core::{CqrsId, Event, Signal, StoreError};
use tokio::time::Instant;

use super::backend::Backend;
use crate::{Models, ReplicaStore, TableModel, table::TablePlan};

/// After how long a table is looked at again in any case.
pub(super) const USUAL: Duration = Duration::from_secs(30);

/// How old a plan may be by which a message fails. Not zero: of a series of bad messages not each
/// may cost a look at the table.
pub(super) const RECENT: Duration = Duration::from_secs(1);

/// How old a plan may be by which letters are judged: the table may just have been mended for them.
pub(super) const LETTERS: Duration = Duration::from_millis(100);

/// How many names of values without a column are remembered of a model, each of which costs a look at the table.
const MOST_ABSENT: usize = 1_000;

/// What a model's own statement timeout may be.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(10);

/// What a session knows of tables.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    plans: HashMap<CqrsId, Kept>,
}

#[derive(Debug)]
struct Kept {
    model: TableModel,
    plan: Arc<TablePlan>,
    read_at: Instant,
    /// Names of values for which there was no column when the table was looked at for their sake.
    absent: BTreeSet<String>,
}

/// The plans of one batch, or why there is none.
#[derive(Debug, Default)]
pub(super) struct PlanSet(HashMap<CqrsId, Known>);

#[derive(Debug)]
struct Known {
    plan: Result<Arc<TablePlan>, String>,
    recent: bool,
}

impl PlanSet {
    /// The plan of a model.
    pub(super) fn get(&self, cqrs_id: &CqrsId) -> Result<&Arc<TablePlan>, String> {
        match self.0.get(cqrs_id) {
            Some(known) => known.plan.as_ref().map_err(Clone::clone),
            None => Err(format!("the table of model {cqrs_id:?} was not looked at")),
        }
    }

    /// Whether a message may fail for the sake of this model's plan. Said once for the whole batch,
    /// so that one that takes long is not judged again and again.
    pub(super) fn is_recent(&self, cqrs_id: &CqrsId) -> bool {
        self.0.get(cqrs_id).is_none_or(|known| known.recent)
    }

    /// The table models among these that are not in the set.
    pub(super) fn missing<'i, S: ReplicaStore>(
        &self,
        models: &Models<S>,
        cqrs_ids: impl Iterator<Item = &'i CqrsId>,
    ) -> BTreeSet<CqrsId> {
        let is_table = |cqrs_id: &CqrsId| {
            let model = models.get(cqrs_id);
            model.is_some_and(|model| model.target.table().is_some())
        };
        cqrs_ids
            .filter(|cqrs_id| !self.0.contains_key(*cqrs_id) && is_table(cqrs_id))
            .cloned()
            .collect()
    }

    /// Whether rows of any of the tables may be in each other's way.
    pub(super) fn may_obstruct(&self) -> bool {
        let mut plans = self.0.values().filter_map(|known| known.plan.as_ref().ok());
        plans.any(|plan| plan.may_obstruct())
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }
}

impl Plans {
    /// The plans of the table models among these, none of them older than `age`.
    pub(super) async fn of<B: Backend>(
        &mut self,
        backend: &mut B,
        models: &Models<B::Store>,
        cqrs_ids: BTreeSet<&CqrsId>,
        age: Duration,
    ) -> Result<PlanSet, StoreError> {
        let mut set = PlanSet::default();
        for cqrs_id in cqrs_ids {
            let Some(model) = models.get(cqrs_id) else {
                continue;
            };
            let Some(table) = model.target.table() else {
                continue;
            };
            let known = match self.kept(cqrs_id, table, age) {
                Some(kept) => Known {
                    plan: Ok(Arc::clone(&kept.plan)),
                    recent: kept.read_at.elapsed() < RECENT,
                },
                None => Known {
                    plan: self
                        .read(backend, cqrs_id, table)
                        .await?
                        .map_err(|problems| problems.join("; ")),
                    recent: true,
                },
            };
            set.0.insert(cqrs_id.clone(), known);
        }
        Ok(set)
    }

    /// How old the plans may be that an event is judged by which has values without a column, if these
    /// plans may be older: the column may just have been added. A name that is new is looked for at once, and a
    /// sync is there to fill a column.
    pub(super) fn age_for(&mut self, event: &Event) -> Option<Duration> {
        let Kept { plan, absent, .. } = self.plans.get_mut(&event.cqrs_id)?;
        let mut age = None;
        for name in plan.without_column(event) {
            if absent.len() < MOST_ABSENT && !absent.contains(name) {
                absent.insert(name.to_owned());
                age = Some(Duration::ZERO);
            }
            age = age.or(Some(match event.signal {
                Signal::Sync => LETTERS,
                Signal::Save | Signal::Delete => RECENT,
            }));
        }
        age
    }

    /// Forgets everything: a table is no longer what it was.
    pub(super) fn clear(&mut self) {
        self.plans.clear();
    }

    /// All that keeps the models from being applied, each problem with its model.
    pub(super) async fn check<B: Backend>(
        &mut self,
        backend: &mut B,
        models: &Models<B::Store>,
    ) -> Result<(), StoreError> {
        self.clear();
        let mut problems = Vec::new();
        for model in models.iter() {
            if model.statement_timeout.is_some() && !B::TIMES_STATEMENTS {
                problems.push(format!(
                    "model {:?}: this database gives no statement a time of its own: remove \
                     `statement_timeout`",
                    model.cqrs_id.as_str()
                ));
            }
            if let Some(timeout) = model.statement_timeout
                && !TIMEOUTS.contains(&timeout)
            {
                problems.push(format!(
                    "model {:?}: its statement timeout is {timeout:?}; use {:?} to {:?}",
                    model.cqrs_id.as_str(),
                    TIMEOUTS.start(),
                    TIMEOUTS.end(),
                ));
            }
            let Some(table) = model.target.table() else {
                continue;
            };
            if let Err(found) = self.read(backend, &model.cqrs_id, table).await? {
                let named = found
                    .into_iter()
                    .map(|p| format!("model {:?}: {p}", model.cqrs_id.as_str()));
                problems.extend(named);
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        Err(StoreError::Schema {
            problem: problems.join("\n"),
            source: None,
        })
    }

    fn kept(&self, cqrs_id: &CqrsId, model: &TableModel, age: Duration) -> Option<&Kept> {
        let kept = self.plans.get(cqrs_id)?;
        (kept.model == *model && kept.read_at.elapsed() < age).then_some(kept)
    }

    async fn read<B: Backend>(
        &mut self,
        backend: &mut B,
        cqrs_id: &CqrsId,
        model: &TableModel,
    ) -> Result<Result<Arc<TablePlan>, Vec<String>>, StoreError> {
        let absent = self.plans.remove(cqrs_id).map(|kept| kept.absent);
        let description = match backend.describe(model).await {
            // A schema whose contents may not be seen, say.
            Err(StoreError::Schema { problem, .. } | StoreError::Misconfigured { problem, .. }) => {
                return Ok(Err(vec![problem]));
            }
            described => described?,
        };
        Ok(TablePlan::new(model, description).map(|plan| {
            let plan = Arc::new(plan);
            let kept = Kept {
                model: model.clone(),
                plan: Arc::clone(&plan),
                read_at: Instant::now(),
                absent: absent.unwrap_or_default(),
            };
            self.plans.insert(cqrs_id.clone(), kept);
            plan
        }))
    }
}
