//! What stands in the way of rows: rows that they refer to and that are not there, rows that still
//! refer to them, and rows that have a value which they are to have alone.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use cqrs_core::{CqrsId, Event, InstanceKey, Signal, StoreError};
use serde_json::value::RawValue;

use super::{
    backend::{Backend, InstanceId},
    plans::{self, PlanSet},
    session::Session,
};
use crate::{
    Incoming, Models, ReplicaStore,
    letter::Fault,
    model::Target,
    table::{Obstructing, Row, TablePlan},
};

/// The items that fail without being tried, by their place, and why.
pub(super) type Refused = HashMap<usize, Fault>;

/// Why an item cannot be applied as things are.
#[derive(Debug)]
pub(super) struct Obstacle {
    /// The item.
    pub(super) at: usize,
    pub(super) fault: Fault,
    /// Whether it takes a save of the instance waited for, rather than any change of it.
    pub(super) needs_save: bool,
}

/// The items that write to an instance.
type Written = HashMap<InstanceId, Vec<(usize, Signal)>>;

impl<B: Backend> Session<B> {
    /// The messages that something stands in the way of which is not removed by the same batch. Looks
    /// at the tables as they are, outside of any transaction; `age` is that of the plans. Of several
    /// messages only those of plain tables count: what a hook writes is its own affair.
    pub(super) async fn obstructed(
        &mut self,
        models: &Models<B::Store>,
        messages: &[&Incoming],
        age: Duration,
    ) -> Result<Refused, StoreError> {
        let events: Vec<(usize, &Event)> = messages
            .iter()
            .enumerate()
            .filter_map(|(at, message)| Some((at, message.event.as_deref()?)))
            .filter(|(_, event)| messages.len() == 1 || is_plain_table(models, &event.cqrs_id))
            .collect();
        let ids: BTreeSet<&CqrsId> = events.iter().map(|(_, event)| &event.cqrs_id).collect();
        let plans = self
            .plans
            .of(&mut self.backend, models, ids.clone(), age)
            .await?;
        let mut obstacles: Vec<Obstacle> = Vec::new();
        for cqrs_id in ids {
            let Ok(plan) = plans.get(cqrs_id) else {
                continue;
            };
            let own = events.iter().filter(|(_, event)| event.cqrs_id == *cqrs_id);
            let (deletes, saves): (Vec<_>, Vec<_>) =
                own.partition(|(_, event)| event.signal == Signal::Delete);
            let saves: Vec<(usize, Row<'_>)> = saves
                .into_iter()
                .filter_map(|&(at, event)| Some((at, plan.row(event).ok()?)))
                .collect();
            let deletes: Vec<(usize, Row<'_>)> = deletes
                .into_iter()
                .filter_map(|&(at, event)| Some((at, plan.only_key(&event.key).ok()?)))
                .collect();
            for reference in &plan.references {
                obstacles.extend(self.missing(models, plan, reference, &saves).await?);
            }
            for unique in &plan.unique {
                let rows = Obstructing::with_values(plan, unique);
                obstacles.extend(self.obstacles(models, plan, &rows, &saves).await?);
            }
            for reference in &plan.referring {
                let rows = Obstructing::referring(reference);
                obstacles.extend(self.obstacles(models, plan, &rows, &deletes).await?);
            }
        }
        let mut written = Written::new();
        for (at, event) in events {
            let id = (event.cqrs_id.clone(), event.key.canonical());
            written.entry(id).or_default().push((at, event.signal));
        }
        Ok(that_remain(obstacles, &written))
    }

    /// What such rows keep from being applied, with the instances whose rows they are.
    async fn obstacles(
        &mut self,
        models: &Models<B::Store>,
        plan: &TablePlan,
        rows: &Obstructing<'_>,
        items: &[(usize, Row<'_>)],
    ) -> Result<Vec<Obstacle>, StoreError> {
        let (places, items): (Vec<usize>, Vec<Row<'_>>) = items
            .iter()
            .filter(|(_, row)| rows.concern(plan, row))
            .map(|(at, row)| (*at, row.clone()))
            .unzip();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let model = self.model_of(models, rows.table).await?;
        let found = self
            .backend
            .obstructing(plan, rows, model.as_ref().map(|(_, plan)| &**plan), &items)
            .await?;
        let obstacle = |(place, key): (usize, Option<String>)| {
            let key = key.and_then(|json| RawValue::from_string(json).ok());
            let key = key.and_then(|json| InstanceKey::from_json(&json).ok());
            let id = model.as_ref().zip(key);
            let waits_for = id.map(|((cqrs_id, _), key)| (cqrs_id.clone(), key.canonical()));
            Obstacle {
                at: places[place],
                fault: Fault {
                    waits_for,
                    ..rows.fault()
                },
                needs_save: false,
            }
        };
        let found = found.unwrap_or_default();
        Ok(found.into_iter().map(obstacle).collect())
    }

    /// The model whose instances the rows of a table are, and how it fits.
    pub(super) async fn model_of(
        &mut self,
        models: &Models<B::Store>,
        table: &str,
    ) -> Result<Option<(CqrsId, Arc<TablePlan>)>, StoreError> {
        let tables = models.iter().filter(|model| model.target.table().is_some());
        let ids: BTreeSet<&CqrsId> = tables.map(|model| &model.cqrs_id).collect();
        let plans: PlanSet = self
            .plans
            .of(&mut self.backend, models, ids.clone(), plans::USUAL)
            .await?;
        let mut found = ids.into_iter().filter_map(|cqrs_id| {
            let plan = plans.get(cqrs_id).ok()?;
            (plan.table == table).then(|| (cqrs_id.clone(), Arc::clone(plan)))
        });
        // Rows of a table that two models feed are nobody's.
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(Some(only)),
            _ => Ok(None),
        }
    }
}

/// Whether a model is a table without hooks.
fn is_plain_table<S: ReplicaStore>(models: &Models<S>, cqrs_id: &CqrsId) -> bool {
    let target = models.get(cqrs_id).map(|model| &model.target);
    matches!(target, Some(Target::Table(_)))
}

/// Those that the batch itself does not remove: what they wait for is not in it, or has itself to wait.
fn that_remain(obstacles: Vec<Obstacle>, written: &Written) -> Refused {
    let mut refused = Refused::new();
    let mut left = obstacles;
    loop {
        let goes = |obstacle: &Obstacle| {
            let id = obstacle.fault.waits_for.as_ref();
            let items = id.and_then(|id| written.get(id));
            items.is_some_and(|items| {
                items.iter().any(|(at, signal)| {
                    let does = !obstacle.needs_save || *signal != Signal::Delete;
                    does && !refused.contains_key(at)
                })
            })
        };
        let (going, staying): (Vec<_>, Vec<_>) = left.into_iter().partition(goes);
        if staying.is_empty() {
            return refused;
        }
        for Obstacle { at, fault, .. } in staying {
            refused.entry(at).or_insert(fault);
        }
        left = going;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: &str) -> InstanceId {
        (CqrsId::new("node").unwrap(), key.to_owned())
    }

    fn refers(at: usize, parent: &str) -> Obstacle {
        let fault = Fault {
            waits_for: Some(id(parent)),
            ..Fault::reference("")
        };
        Obstacle {
            at,
            fault,
            needs_save: true,
        }
    }

    #[test]
    fn who_refers_to_one_that_waits_waits_too() {
        // 0 refers to something that is not here, 1 to 0, 2 to 1; 3 refers to itself.
        let written: Written = (0..4)
            .map(|at: usize| (id(&at.to_string()), vec![(at, Signal::Save)]))
            .collect();
        let missing = vec![
            refers(2, "1"),
            refers(1, "0"),
            refers(0, "9"),
            refers(3, "3"),
        ];
        let mut refused: Vec<usize> = that_remain(missing, &written).into_keys().collect();
        refused.sort_unstable();
        assert_eq!(refused, [0, 1, 2]);
    }

    #[test]
    fn a_delete_brings_no_parent() {
        let written = Written::from([(id("0"), vec![(1, Signal::Delete)])]);
        assert_eq!(that_remain(vec![refers(0, "0")], &written).len(), 1);
        let freed = Obstacle {
            needs_save: false,
            ..refers(0, "0")
        };
        assert_eq!(that_remain(vec![freed], &written).len(), 0);
    }
}
