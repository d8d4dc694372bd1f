//! How events become rows of one table.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cqrs_core::{Event, InstanceKey, json::Object};
use serde_json::value::RawValue;

use super::{Column, Description, Reference, Row, key_parts};
use crate::{
    TableModel,
    letter::{Fault, Reason},
};

/// A table model compared with its table.
#[derive(Debug)]
pub struct TablePlan {
    /// The table, as SQL.
    pub(crate) table: String,
    /// The table's columns.
    pub(crate) columns: Vec<Column>,
    /// Those of the key, in the model's order.
    pub(crate) key: Vec<usize>,
    /// Whether keys of different instances may be equal for the table.
    pub(crate) loose: bool,
    /// The same with the names that the master is likely to have for them.
    pub(crate) key_fields: Vec<(String, usize)>,
    members: Members,
    /// Members that every event has to have.
    pub(crate) demanded: Vec<String>,
    /// Columns without which, or with null in which, no row is taken.
    required: Vec<usize>,
    /// Columns in which null is refused.
    never_null: Vec<usize>,
    /// The table's foreign keys.
    pub(crate) references: Vec<Reference>,
    /// Whether foreign keys refer to the table.
    pub(crate) is_referenced: bool,
    /// Those that keep a row from being deleted, each with the table that has it.
    pub(crate) referring: Vec<Reference>,
    /// The sets of columns that hold values which a row has alone, but for its key; and the key, if it
    /// may be equal to that of another instance.
    pub(crate) unique: Vec<Vec<usize>>,
    /// Statements made before, by what they are made of.
    statements: Mutex<HashMap<Vec<usize>, Arc<str>>>,
}

/// Which member of the data goes into which column.
#[derive(Debug)]
enum Members {
    Mapped(Vec<(String, usize)>),
    ByName(HashMap<String, usize>),
}

impl TablePlan {
    /// The plan, or what stands in its way.
    pub(crate) fn new(
        model: &TableModel,
        description: Option<Description>,
    ) -> Result<Self, Vec<String>> {
        let table = &model.table;
        let Some(description) = description else {
            return Err(vec![format!(
                "there is no table {table:?}: create it, or correct `table`"
            )]);
        };
        let problems = description.problems(model);
        if !problems.is_empty() {
            return Err(problems);
        }
        let key: Vec<usize> = model
            .key
            .iter()
            .filter_map(|name| description.position(name))
            .collect();
        let fed = |column: &usize| !key.contains(column);
        let key_fields = key
            .iter()
            .map(|&at| {
                let name = &description.columns[at].name;
                let mapping = model.columns.iter().flatten();
                let mut mapped = mapping.filter(|(_, column)| column == name);
                let member = mapped.next().map_or(name, |(member, _)| member);
                (member.clone(), at)
            })
            .collect();
        let members = match &model.columns {
            Some(mapping) => Members::Mapped(
                mapping
                    .iter()
                    .filter_map(|(member, name)| {
                        Some((member.clone(), description.position(name).filter(fed)?))
                    })
                    .collect(),
            ),
            None => Members::ByName(
                (0..description.columns.len())
                    .filter(fed)
                    .filter(|&at| description.columns[at].writable)
                    .map(|at| (description.columns[at].name.clone(), at))
                    .collect(),
            ),
        };
        let demanded = match &members {
            Members::Mapped(mapping) => mapping
                .iter()
                .map(|(member, _)| member.clone())
                .filter(|member| !model.optional.contains(member))
                .collect(),
            Members::ByName(_) => Vec::new(),
        };
        let those = |condition: &dyn Fn(&Column) -> bool| -> Vec<usize> {
            (0..description.columns.len())
                .filter(fed)
                .filter(|&at| condition(&description.columns[at]))
                .collect()
        };
        let required = those(&|column| description.requires(column));
        let never_null = those(&|column| column.not_null && !description.has_before_trigger);
        let loose = key.iter().any(|&at| description.columns[at].loose);
        let unique = description.unique_beside(&key, loose);
        Ok(Self {
            table: description.table,
            loose,
            key,
            key_fields,
            members,
            demanded,
            required,
            never_null,
            columns: description.columns,
            references: description.references,
            is_referenced: !description.referring.is_empty(),
            referring: description
                .referring
                .into_iter()
                .filter_map(|(reference, keeps)| keeps.then_some(reference))
                .collect(),
            unique,
            statements: Mutex::default(),
        })
    }

    /// The names of an event's values for which there was no column when the table was looked at.
    pub(crate) fn without_column<'e>(&self, event: &'e Event) -> impl Iterator<Item = &'e str> {
        let by_name = match &self.members {
            Members::ByName(by_name) => Some(by_name),
            Members::Mapped(_) => None,
        };
        let names = event.data.iter().map(|(name, _)| name);
        names.filter(move |name| {
            by_name.is_some_and(|by_name| {
                !by_name.contains_key(*name)
                    && !self.columns.iter().any(|column| column.name == *name)
            })
        })
    }

    /// Whether rows of this table and of others may be in each other's way.
    pub(crate) fn may_obstruct(&self) -> bool {
        self.is_referenced || !self.references.is_empty() || !self.unique.is_empty()
    }

    /// Whether a column may hold something else until its row is written.
    pub(crate) fn may_be_parked(&self, column: usize) -> bool {
        let Column { name, writable, .. } = &self.columns[column];
        let refers = |reference: &Reference| reference.columns.contains(name);
        *writable && !self.key.contains(&column) && !self.references.iter().any(refers)
    }

    /// What a delete knows of a row.
    pub(crate) fn only_key<'e>(&self, key: &'e InstanceKey) -> Result<Row<'e>, Fault> {
        self.check_key(key)?;
        let values = Vec::new();
        Ok(Row { key, values })
    }

    /// The row that an event's data makes.
    ///
    /// Every column that must have a value must be in the data, whether the row exists or not: a
    /// save carries the whole state.
    pub(crate) fn row<'e>(&self, event: &'e Event) -> Result<Row<'e>, Fault> {
        self.check_key(&event.key)?;
        self.check_members(&event.data)?;
        let mut values = self.values(&event.data);
        values.sort_unstable_by_key(|(column, _)| *column);
        self.check(&values)?;
        Ok(Row {
            key: &event.key,
            values,
        })
    }

    /// The row of this key that data by column makes.
    pub(crate) fn row_of<'e>(
        &self,
        key: &'e InstanceKey,
        data: &'e Object,
    ) -> Result<Row<'e>, Fault> {
        self.check_key(key)?;
        let mut values = Vec::with_capacity(data.len());
        for (name, value) in data.iter() {
            let column = self.columns.iter().position(|column| column.name == name);
            match column.filter(|&at| self.columns[at].writable) {
                Some(column) if self.key.contains(&column) => {}
                Some(column) => values.push((column, value)),
                None => {
                    let error = format!("the table has no column {name:?} that takes a value");
                    return Err(Fault::new(Reason::Schema, error));
                }
            }
        }
        values.sort_unstable_by_key(|(column, _)| *column);
        self.check(&values)?;
        Ok(Row { key, values })
    }

    /// An event's data by column, the key's columns first.
    pub(crate) fn mapped(&self, event: &Event) -> Object {
        let mut mapped = Object::default();
        for (&column, part) in self.key.iter().zip(key_parts(&event.key)) {
            if let Ok(value) = RawValue::from_string(part) {
                mapped.insert(self.columns[column].name.as_str(), value);
            }
        }
        for (name, value) in self.mapped_members(&event.data).iter() {
            mapped.insert(name, value.to_owned());
        }
        mapped
    }

    /// Those of some members that go into columns, by column.
    pub(crate) fn mapped_members(&self, members: &Object) -> Object {
        let mut mapped = Object::default();
        for (column, value) in self.values(members) {
            mapped.insert(self.columns[column].name.as_str(), value.to_owned());
        }
        mapped
    }

    /// The members that go into columns, by name.
    pub(crate) fn fields(&self) -> Vec<(String, usize)> {
        let mut fields = match &self.members {
            Members::Mapped(mapping) => mapping.clone(),
            Members::ByName(by_name) => by_name
                .iter()
                .map(|(name, column)| (name.clone(), *column))
                .collect(),
        };
        fields.sort_unstable();
        fields
    }

    fn values<'e>(&self, members: &'e Object) -> Vec<(usize, &'e RawValue)> {
        match &self.members {
            Members::Mapped(mapping) => mapping
                .iter()
                .filter_map(|(member, column)| Some((*column, members.get(member)?)))
                .collect(),
            Members::ByName(by_name) => members
                .iter()
                .filter_map(|(member, value)| Some((*by_name.get(member)?, value)))
                .collect(),
        }
    }

    /// Whether the key has a part for each column: with too few or too many it would be that of other
    /// rows.
    pub(crate) fn check_key(&self, key: &InstanceKey) -> Result<(), Fault> {
        let parts = match key {
            InstanceKey::Composite(parts) => parts.len(),
            _ => 1,
        };
        if parts == self.key.len() {
            return Ok(());
        }
        let columns = self.key.len();
        let error = format!("the key has {parts} parts, that of the table {columns} columns");
        Err(Fault::new(Reason::Type, error))
    }

    /// Whether the fields are there that the model names. Without them columns would keep old values, or
    /// null, and nobody would know.
    fn check_members(&self, data: &Object) -> Result<(), Fault> {
        let missing = self.demanded.iter().filter(|name| data.get(name).is_none());
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let s = if missing.len() == 1 { "" } else { "s" };
        let error = format!(
            "the event has no field{s} {}: correct `columns`, have the master publish what it names, or name \
             it in `optional`",
            missing.join(", ")
        );
        Err(Fault::new(Reason::MissingField, error))
    }

    fn check(&self, values: &[(usize, &RawValue)]) -> Result<(), Fault> {
        let missing: Vec<&str> = self
            .required
            .iter()
            .filter(|column| values.binary_search_by_key(column, |(at, _)| at).is_err())
            .map(|&column| self.columns[column].name.as_str())
            .collect();
        if !missing.is_empty() {
            let s = if missing.len() == 1 { "" } else { "s" };
            return Err(Fault::new(
                Reason::MissingColumn,
                format!(
                    "the data has no value for the required column{s} {}",
                    missing.join(", ")
                ),
            ));
        }
        for (column, value) in values {
            if value.get() == "null" && self.never_null.contains(column) {
                return Err(Fault::new(
                    Reason::Constraint,
                    format!("column {:?} must not be null", self.columns[*column].name),
                ));
            }
        }
        Ok(())
    }

    /// The statement for these columns, made once.
    pub(crate) fn statement(
        &self,
        columns: &[usize],
        make: impl FnOnce(&Self, &[usize]) -> String,
    ) -> Arc<str> {
        let mut statements = self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sql) = statements.get(columns) {
            return Arc::clone(sql);
        }
        let sql: Arc<str> = make(self, columns).into();
        statements.insert(columns.to_vec(), Arc::clone(&sql));
        sql
    }
}
