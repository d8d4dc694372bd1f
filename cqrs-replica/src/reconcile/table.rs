//! A replica's table as the master's events would say it: keys and fields as JSON.

use std::collections::BTreeSet;

use cqrs_core::{
    CqrsId, QueueName, StoreError,
    database::{
        concatenated,
        condition::{Dialect, FilterColumn, Values, condition, literal},
        json_form, key_json, key_text, quoted,
    },
    filter::{Filter, FilterError},
};
use serde_json::value::RawValue;

use super::ReplicaRow;
use crate::table::{Column, TablePlan};

/// A model's table and the fields of it that are compared.
#[derive(Debug)]
pub struct ReconcileTable {
    pub(crate) queue: QueueName,
    pub(crate) cqrs_id: CqrsId,
    pub(crate) plan: TablePlan,
    dialect: Dialect,
    /// The fields with their columns.
    fields: Vec<(String, usize)>,
    /// Which rows pages have.
    condition: String,
}

impl ReconcileTable {
    /// All fields that the replica keeps.
    pub(crate) fn new(
        queue: QueueName,
        cqrs_id: CqrsId,
        plan: TablePlan,
        dialect: Dialect,
    ) -> Self {
        let fields = plan.fields();
        Self {
            queue,
            cqrs_id,
            plan,
            dialect,
            fields,
            condition: "true".to_owned(),
        }
    }

    /// Has the key's columns among the fields too.
    pub(crate) fn with_key_fields(&mut self) {
        self.fields.extend(self.plan.key_fields.iter().cloned());
    }

    /// Leaves out the rows that do not meet a filter, which may name fields, columns and `pk`.
    pub(crate) fn filter(&mut self, filter: &Filter) -> Result<(), FilterError> {
        let alias = match self.dialect {
            Dialect::Postgres => "k",
            Dialect::Sqlite => "t",
        };
        let condition = condition(filter, self.dialect, Values::Literal, |name| {
            let field = self.fields.iter().find(|(field, _)| field == name);
            let at = match (field, name, self.plan.key.as_slice()) {
                (Some((_, at)), ..) => *at,
                (None, "pk", [one]) => *one,
                _ => self.plan.columns.iter().position(|c| c.name == name)?,
            };
            let column = self.column(at);
            Some(FilterColumn {
                sql: sql(column, alias),
                type_name: column.base.clone(),
            })
        })?;
        self.condition = condition.sql;
        Ok(())
    }

    /// What rows of pages meet.
    pub(crate) fn condition(&self) -> &str {
        &self.condition
    }

    /// The fields that the replica keeps and the master does not publish, and those of them that every
    /// event has to have.
    pub(crate) fn unpublished(&self, published: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
        let fields = self.fields.iter().map(|(name, _)| name);
        let unpublished: Vec<_> = fields
            .filter(|name| !published.contains(*name))
            .cloned()
            .collect();
        let demanded = unpublished
            .iter()
            .filter(|name| self.plan.demanded.contains(name));
        let demanded = demanded.cloned().collect();
        (unpublished, demanded)
    }

    /// Leaves out the fields that the master does not publish, and answers which are left.
    pub(crate) fn restrict(&mut self, published: &BTreeSet<String>) -> BTreeSet<String> {
        self.fields.retain(|(name, _)| published.contains(name));
        self.fields.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The canonical key of a row.
    pub(crate) fn instance_pk(&self, alias: &str) -> String {
        match self.plan.key.as_slice() {
            [one] => {
                let column = self.column(*one);
                key_text(self.dialect, &sql(column, alias), &column.base)
            }
            _ => self.key_json(alias),
        }
    }

    /// The key of a row as JSON text.
    pub(crate) fn key_json(&self, alias: &str) -> String {
        self.plan.key_json(self.dialect, alias)
    }

    /// The fields of a row as JSON text.
    pub(crate) fn content(&self, alias: &str) -> String {
        let members: Vec<_> = self
            .fields
            .iter()
            .map(|(name, at)| {
                let column = self.column(*at);
                let name = serde_json::Value::from(name.as_str()).to_string();
                let name = literal(self.dialect, &format!("{name}:"));
                // As the master writes it: what is part of the key as it stands there.
                let form = if self.plan.key.contains(at) {
                    key_json
                } else {
                    json_form
                };
                let value = form(self.dialect, &sql(column, alias), &column.base);
                format!("{name} || {value}")
            })
            .collect();
        match members.as_slice() {
            [] => "'{}'".to_owned(),
            _ => format!("'{{' || {} || '}}'", concatenated(members, " || ',' || ")),
        }
    }

    /// The key's columns as SQL.
    pub(crate) fn key_columns(&self, alias: &str) -> Vec<String> {
        let key = self.plan.key.iter();
        key.map(|&at| sql(self.column(at), alias)).collect()
    }

    /// The columns of the fields that are compared.
    #[cfg(feature = "sqlite")]
    pub(crate) fn compared_columns(&self) -> Vec<usize> {
        let mut columns: Vec<_> = self.fields.iter().map(|(_, column)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The values of a row's key with their columns.
    pub(crate) fn key_values(
        &self,
        row: &ReplicaRow,
    ) -> Result<Vec<(&Column, Box<RawValue>)>, StoreError> {
        let parts = match self.plan.key.len() {
            1 => RawValue::from_string(row.key.clone()).map(|part| vec![part]),
            _ => serde_json::from_str(&row.key),
        };
        let parts = parts.map_err(|error| StoreError::Backend(error.into()))?;
        let columns = self.plan.key.iter().map(|&at| self.column(at));
        Ok(columns.zip(parts).collect())
    }

    fn column(&self, at: usize) -> &Column {
        &self.plan.columns[at]
    }
}

fn sql(column: &Column, alias: &str) -> String {
    format!("{alias}.{}", quoted(&column.name))
}
