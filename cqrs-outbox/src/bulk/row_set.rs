//! The rows of one statement.

use std::collections::HashSet;

use cqrs_core::{form, json::Object};
use serde_json::value::RawValue;

use crate::{Problem, RecordError, Table};

/// Rows with the same columns, each of another instance.
#[derive(Debug)]
pub struct RowSet {
    /// The model.
    pub cqrs_id: &'static str,
    /// The table, as the model names it.
    pub table: &'static str,
    /// The key's columns.
    pub key: &'static [&'static str],
    /// The columns of bytes.
    pub bytes: &'static [&'static str],
    /// All columns, in the order of the first row.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    instances: HashSet<String>,
}

/// A row: what is in its columns, as JSON. Bytes are text in hexadecimal digits.
#[derive(Debug)]
pub struct Row {
    /// The canonical key.
    pub instance_pk: String,
    /// By column.
    pub values: Object,
}

impl RowSet {
    /// No rows yet.
    pub(super) fn of<M: Table>() -> Self {
        Self {
            cqrs_id: M::CQRS_ID,
            table: M::TABLE,
            key: M::KEY,
            bytes: M::BYTES,
            columns: Vec::new(),
            rows: Vec::new(),
            instances: HashSet::new(),
        }
    }

    pub(super) fn add<M: Table>(&mut self, model: &M) -> Result<(), RecordError> {
        let instance_pk = model.key().canonical();
        let values = self
            .values(model, &instance_pk)
            .map_err(|problem| RecordError::invalid(self.cqrs_id, &instance_pk, problem))?;
        self.rows.push(Row {
            instance_pk,
            values,
        });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Two inserts of the same rows then wait for each other rather than deadlock.
    pub(super) fn sort_by_key(&mut self) {
        self.rows
            .sort_unstable_by(|a, b| a.instance_pk.cmp(&b.instance_pk));
    }

    pub(super) fn check_count(&self, written: u64) -> Result<(), RecordError> {
        let given = self.rows.len();
        if u64::try_from(given) == Ok(written) {
            return Ok(());
        }
        Err(RecordError::Rows {
            table: self.table,
            given,
            written,
        })
    }

    /// What an update sets: the columns beside the key. With none, the key's own: the rows are
    /// found and counted all the same.
    pub fn updated(&self) -> Vec<&str> {
        let columns = || self.columns.iter().map(String::as_str);
        let beside: Vec<&str> = columns().filter(|name| !self.key.contains(name)).collect();
        if beside.is_empty() {
            columns().collect()
        } else {
            beside
        }
    }

    fn values<M: Table>(&mut self, model: &M, instance_pk: &str) -> Result<Object, Problem> {
        let field = "row";
        let not_json = |source| Problem::NotJson { field, source };
        let text = serde_json::to_string(&model.row()).map_err(not_json)?;
        let mut values = Object::from_json(&text).map_err(|_| Problem::NotAnObject { field })?;
        if self.rows.is_empty() {
            self.columns = values.iter().map(|(name, _)| name.to_owned()).collect();
        }
        let missing = |column: &str| values.get(column).is_none();
        let columns = self.columns.iter().map(String::as_str);
        if let Some(column) = self
            .key
            .iter()
            .copied()
            .chain(columns)
            .find(|name| missing(name))
        {
            let column = column.to_owned();
            return Err(Problem::NoColumn { column });
        }
        if let Some((column, _)) = values
            .iter()
            .find(|(name, _)| !self.columns.iter().any(|column| column == name))
        {
            let column = column.to_owned();
            return Err(Problem::OtherColumn { column });
        }
        for &column in self.bytes {
            if let Some(value) = values.get(column) {
                let digits = hex(value).ok_or_else(|| Problem::NotBytes {
                    column: column.to_owned(),
                })?;
                values.insert(column, digits);
            }
        }
        if !self.instances.insert(instance_pk.to_owned()) {
            return Err(Problem::Twice);
        }
        Ok(values)
    }
}

/// Base64 text as hexadecimal digits, which every database reads; null as it is.
fn hex(value: &RawValue) -> Option<Box<RawValue>> {
    if value.get() == "null" {
        return Some(value.to_owned());
    }
    let text: String = serde_json::from_str(value.get()).ok()?;
    let bytes = form::bytes::decode(&text).ok()?;
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    RawValue::from_string(format!("\"{}\"", digits.concat())).ok()
}
