//! How table models fit their tables, read from the catalog and kept for a while.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use cqrs_core::{CqrsId, StoreError};
use tokio::time::Instant;

use super::backend::Backend;
use crate::{Models, TableModel, model::Target, table::TablePlan};

/// After how long a table is looked at again: columns that were added are then filled.
const FRESH: Duration = Duration::from_secs(30);

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
}

/// The plans of one batch, or why there is none.
#[derive(Debug, Default)]
pub(super) struct PlanSet(HashMap<CqrsId, Result<Arc<TablePlan>, String>>);

impl PlanSet {
    /// The plan of a model.
    pub(super) fn get(&self, cqrs_id: &CqrsId) -> Result<&Arc<TablePlan>, String> {
        match self.0.get(cqrs_id) {
            Some(Ok(plan)) => Ok(plan),
            Some(Err(problem)) => Err(problem.clone()),
            None => Err(format!("the table of model {cqrs_id:?} was not looked at")),
        }
    }
}

impl Plans {
    /// The plans of the table models among these.
    pub(super) async fn of<B: Backend>(
        &mut self,
        backend: &mut B,
        models: &Models<B::Store>,
        cqrs_ids: BTreeSet<&CqrsId>,
    ) -> Result<PlanSet, StoreError> {
        let mut set = PlanSet::default();
        for cqrs_id in cqrs_ids {
            let Some(model) = models.get(cqrs_id) else {
                continue;
            };
            let Target::Table(table) = &model.target else {
                continue;
            };
            let plan = match self.kept(cqrs_id, table) {
                Some(plan) => Ok(plan),
                None => self.read(backend, cqrs_id, table).await?,
            };
            set.0.insert(
                cqrs_id.clone(),
                plan.map_err(|problems| problems.join("; ")),
            );
        }
        Ok(set)
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
            let Target::Table(table) = &model.target else {
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

    fn kept(&self, cqrs_id: &CqrsId, model: &TableModel) -> Option<Arc<TablePlan>> {
        let kept = self.plans.get(cqrs_id)?;
        let usable = kept.model == *model && kept.read_at.elapsed() < FRESH;
        usable.then(|| Arc::clone(&kept.plan))
    }

    async fn read<B: Backend>(
        &mut self,
        backend: &mut B,
        cqrs_id: &CqrsId,
        model: &TableModel,
    ) -> Result<Result<Arc<TablePlan>, Vec<String>>, StoreError> {
        let description = backend.describe(model).await?;
        Ok(TablePlan::new(model, description).map(|plan| {
            let plan = Arc::new(plan);
            let kept = Kept {
                model: model.clone(),
                plan: Arc::clone(&plan),
                read_at: Instant::now(),
            };
            self.plans.insert(cqrs_id.clone(), kept);
            plan
        }))
    }
}
