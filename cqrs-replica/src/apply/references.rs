//! Rows that refer to other rows: in which order tables are written, and what has to wait.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
    time::Duration,
};

use cqrs_core::{CqrsId, Event, InstanceKey, Signal, StoreError};
use serde_json::value::RawValue;

use super::{
    backend::{Backend, InstanceId},
    plans,
    session::Session,
};
use crate::{
    Incoming, Models, ReplicaStore,
    letter::{Fault, storable},
    model::Target,
    table::{Reference, Row, TablePlan},
};

/// How many letters one transaction wakes for the rows that it has written.
pub(super) const WOKEN: usize = 500;

/// How much of a value an error shows.
const SHOWN: usize = 200;

/// The items that fail without being tried, by their place, and why.
pub(super) type Refused = HashMap<usize, Fault>;

/// The order in which rows are written: a table before those that refer to it. Of a circle of
/// references any order is as good as another.
pub(super) fn parents_first(tables: &[Arc<TablePlan>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(tables.len());
    let mut seen = vec![false; tables.len()];
    for table in 0..tables.len() {
        visit(tables, table, &mut seen, &mut order);
    }
    order
}

fn visit(tables: &[Arc<TablePlan>], table: usize, seen: &mut [bool], order: &mut Vec<usize>) {
    if mem::replace(&mut seen[table], true) {
        return;
    }
    for reference in &tables[table].references {
        for (other, plan) in tables.iter().enumerate() {
            if plan.table == reference.table {
                visit(tables, other, seen, order);
            }
        }
    }
    order.push(table);
}

impl<B: Backend> Session<B> {
    /// The messages whose rows refer to rows that are neither there nor in the same batch. Looks at
    /// the tables as they are, outside of any transaction; `age` is that of the plans. Of several
    /// messages only those of plain tables count: what a hook writes is its own affair.
    pub(super) async fn orphans(
        &mut self,
        models: &Models<B::Store>,
        messages: &[&Incoming],
        age: Duration,
    ) -> Result<Refused, StoreError> {
        let events: Vec<(usize, &Event)> = messages
            .iter()
            .enumerate()
            .filter_map(|(at, message)| Some((at, message.event.as_deref()?)))
            .filter(|(_, event)| event.signal != Signal::Delete)
            .filter(|(_, event)| messages.len() == 1 || is_plain_table(models, &event.cqrs_id))
            .collect();
        let ids: BTreeSet<&CqrsId> = events.iter().map(|(_, event)| &event.cqrs_id).collect();
        let plans = self
            .plans
            .of(&mut self.backend, models, ids.clone(), age)
            .await?;
        let mut missing: Vec<(usize, Fault)> = Vec::new();
        for cqrs_id in ids {
            let Ok(plan) = plans.get(cqrs_id) else {
                continue;
            };
            if plan.references.is_empty() {
                continue;
            }
            let rows: Vec<(usize, Row<'_>)> = events
                .iter()
                .filter(|(_, event)| event.cqrs_id == *cqrs_id)
                .filter_map(|(at, event)| Some((*at, plan.row(event).ok()?)))
                .collect();
            for reference in &plan.references {
                missing.extend(self.missing(models, plan, reference, &rows).await?);
            }
        }
        let mut written: HashMap<InstanceId, Vec<usize>> = HashMap::new();
        for (at, event) in events {
            let id = (event.cqrs_id.clone(), event.key.canonical());
            written.entry(id).or_default().push(at);
        }
        Ok(without_parents(missing, &written))
    }

    /// The rows, by their items' places, that a reference leads nowhere from.
    async fn missing(
        &mut self,
        models: &Models<B::Store>,
        plan: &TablePlan,
        reference: &Reference,
        rows: &[(usize, Row<'_>)],
    ) -> Result<Vec<(usize, Fault)>, StoreError> {
        let (places, values): (Vec<usize>, Vec<Vec<Cow<'_, RawValue>>>) = rows
            .iter()
            .filter_map(|(at, row)| Some((*at, reference.values(plan, row)?)))
            .unzip();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let orphans = self.backend.orphans(plan, reference, &values).await?;
        let orphans = orphans.unwrap_or_default();
        if orphans.is_empty() {
            return Ok(Vec::new());
        }
        let parent = self.parent(models, reference).await?;
        let fault = |orphan: usize| {
            let values = &values[orphan];
            let shown: Vec<&str> = values.iter().map(|value| value.get()).collect();
            let shown: String = shown.join(", ").chars().take(SHOWN).collect();
            let waits_for = parent.as_ref().and_then(|(cqrs_id, order)| {
                let key = key_of(order.iter().map(|&at| &*values[at]))?;
                Some((cqrs_id.clone(), key.canonical()))
            });
            let fault = Fault {
                detail: Some(storable(&shown)),
                waits_for,
                ..Fault::reference(reference.in_words())
            };
            (places[orphan], fault)
        };
        Ok(orphans.into_iter().map(fault).collect())
    }

    /// The model whose instances the rows of the table are that a reference leads to, if it leads
    /// there by the model's key: with the places of the key's columns among those referred to.
    async fn parent(
        &mut self,
        models: &Models<B::Store>,
        reference: &Reference,
    ) -> Result<Option<(CqrsId, Vec<usize>)>, StoreError> {
        let tables = models.iter().filter(|model| model.target.table().is_some());
        let ids: BTreeSet<&CqrsId> = tables.map(|model| &model.cqrs_id).collect();
        let plans = self
            .plans
            .of(&mut self.backend, models, ids.clone(), plans::USUAL)
            .await?;
        let mut found = ids.into_iter().filter_map(|cqrs_id| {
            let plan = plans.get(cqrs_id).ok()?;
            (plan.table == reference.table).then_some((cqrs_id, plan))
        });
        // Rows of a table that two models feed are nobody's.
        let (Some((cqrs_id, plan)), None) = (found.next(), found.next()) else {
            return Ok(None);
        };
        let place = |&column: &usize| {
            let name = &plan.columns[column].name;
            reference.referenced.iter().position(|other| other == name)
        };
        let order: Option<Vec<usize>> = plan.key.iter().map(place).collect();
        Ok(order
            .filter(|order| order.len() == reference.referenced.len())
            .map(|order| (cqrs_id.clone(), order)))
    }
}

/// Whether a model is a table without hooks.
fn is_plain_table<S: ReplicaStore>(models: &Models<S>, cqrs_id: &CqrsId) -> bool {
    let target = models.get(cqrs_id).map(|model| &model.target);
    matches!(target, Some(Target::Table(_)))
}

/// Those whose parent is not written with them: it is not in the batch, or has itself to wait.
fn without_parents(
    missing: Vec<(usize, Fault)>,
    written: &HashMap<InstanceId, Vec<usize>>,
) -> Refused {
    let mut refused = Refused::new();
    let mut left = missing;
    loop {
        let comes = |fault: &Fault| {
            let parent = fault.waits_for.as_ref().and_then(|id| written.get(id));
            parent.is_some_and(|items| items.iter().any(|at| !refused.contains_key(at)))
        };
        let (with, without): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(_, fault)| comes(fault));
        if without.is_empty() {
            return refused;
        }
        for (at, fault) in without {
            refused.entry(at).or_insert(fault);
        }
        left = with;
    }
}

/// The key that these values make.
fn key_of<'v>(values: impl Iterator<Item = &'v RawValue>) -> Option<InstanceKey> {
    let values: Vec<&str> = values.map(RawValue::get).collect();
    let json = match &values[..] {
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(",")),
    };
    InstanceKey::from_json(&RawValue::from_string(json).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        TableModel,
        table::{Column, Description},
    };

    fn plan(table: &str, refers_to: &[&str]) -> Arc<TablePlan> {
        let id = Column {
            name: "id".to_owned(),
            type_name: "integer".to_owned(),
            not_null: true,
            has_default: false,
            writable: true,
            loose: false,
        };
        let references = refers_to.iter().map(|table| Reference {
            name: None,
            columns: vec!["id".to_owned()],
            table: (*table).to_owned(),
            referenced: vec!["id".to_owned()],
        });
        let description = Description {
            table: table.to_owned(),
            columns: vec![id],
            unique: vec![vec!["id".to_owned()]],
            references: references.collect(),
            ..Description::default()
        };
        let model = TableModel::new(table, "id");
        Arc::new(TablePlan::new(&model, Some(description)).unwrap())
    }

    #[test]
    fn a_table_comes_after_those_that_it_refers_to() {
        let tables = [
            plan("line", &["order", "product"]),
            plan("order", &["account"]),
            plan("account", &["account"]),
            plan("product", &[]),
        ];
        assert_eq!(parents_first(&tables), [2, 1, 3, 0]);
    }

    #[test]
    fn a_circle_has_some_order() {
        let tables = [plan("a", &["b"]), plan("b", &["a"])];
        assert_eq!(parents_first(&tables), [1, 0]);
    }

    fn id(key: &str) -> InstanceId {
        (CqrsId::new("node").unwrap(), key.to_owned())
    }

    fn refers(at: usize, parent: &str) -> (usize, Fault) {
        let fault = Fault {
            waits_for: Some(id(parent)),
            ..Fault::reference("")
        };
        (at, fault)
    }

    #[test]
    fn who_refers_to_one_that_waits_waits_too() {
        // 0 refers to something that is not here, 1 to 0, 2 to 1; 3 refers to itself.
        let written = (0..4).map(|at| (id(&at.to_string()), vec![at])).collect();
        let missing = vec![
            refers(2, "1"),
            refers(1, "0"),
            refers(0, "elsewhere"),
            refers(3, "3"),
        ];
        let mut refused: Vec<_> = without_parents(missing, &written).into_keys().collect();
        refused.sort_unstable();
        assert_eq!(refused, [0, 1, 2]);
    }

    #[test]
    fn keys_are_those_of_the_parents_own_messages() {
        let key = |parts: &[&str]| {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| RawValue::from_string((*part).to_owned()).unwrap())
                .collect();
            Some(key_of(parts.iter().map(|part| &**part))?.canonical())
        };
        assert_eq!(key(&["7"]).unwrap(), "7");
        assert_eq!(key(&["\"a b\""]).unwrap(), "a b");
        assert_eq!(key(&["7", "\"x\""]).unwrap(), "[7,\"x\"]");
        assert_eq!(key(&["1.5"]), None);
    }
}
