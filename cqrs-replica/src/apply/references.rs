//! Rows that refer to other rows: in which order tables are written, and what has to wait.

use std::{borrow::Cow, mem, sync::Arc};

use cqrs_core::{CqrsId, InstanceKey, StoreError};
use serde_json::value::RawValue;

use super::{backend::Backend, obstacles::Obstacle, session::Session};
use crate::{
    Models,
    letter::{Fault, storable},
    table::{Reference, Row, TablePlan},
};

/// How many letters one transaction wakes for the rows that it has written.
pub(super) const WOKEN: usize = 500;

/// How much of a value an error shows.
const SHOWN: usize = 200;

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
    /// The rows, by their items' places, that a reference leads nowhere from.
    pub(super) async fn missing(
        &mut self,
        models: &Models<B::Store>,
        plan: &TablePlan,
        reference: &Reference,
        rows: &[(usize, Row<'_>)],
    ) -> Result<Vec<Obstacle>, StoreError> {
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
            Obstacle {
                at: places[orphan],
                fault,
                needs_save: true,
            }
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
        let Some((cqrs_id, plan)) = self.model_of(models, &reference.table).await? else {
            return Ok(None);
        };
        let place = |&column: &usize| {
            let name = &plan.columns[column].name;
            reference.referenced.iter().position(|other| other == name)
        };
        let order: Option<Vec<usize>> = plan.key.iter().map(place).collect();
        Ok(order
            .filter(|order| order.len() == reference.referenced.len())
            .map(|order| (cqrs_id, order)))
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
            base: "integer".to_owned(),
            bytes_within: false,
            identity: false,
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
