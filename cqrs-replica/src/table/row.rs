//! Rows made of the JSON text that came, so that no number is rounded on its way.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use cqrs_core::{
    InstanceKey, KeyPart,
    database::{condition::Dialect, key_json},
};
use serde_json::value::RawValue;

use super::{TablePlan, quoted};
use crate::letter::{Fault, Reason};

/// A row to write.
#[derive(Debug, Clone)]
pub struct Row<'e> {
    pub(crate) key: &'e InstanceKey,
    /// By column, in the table's order; the key's columns are not among them.
    pub(crate) values: Vec<(usize, &'e RawValue)>,
}

impl<'e> Row<'e> {
    /// Takes over the columns of an earlier state of the same row that this one does not have.
    pub(crate) fn over(mut self, earlier: Row<'e>) -> Self {
        for (column, value) in earlier.values {
            if let Err(at) = self
                .values
                .binary_search_by_key(&column, |(column, _)| *column)
            {
                self.values.insert(at, (column, value));
            }
        }
        self
    }
}

/// What a batch does to a table: first the deletes, then the rows.
#[derive(Debug, Default)]
pub struct TableWrites<'e> {
    pub(crate) deletes: Vec<&'e InstanceKey>,
    pub(crate) rows: Vec<Row<'e>>,
    /// Whether a trigger must not pass over a row: it holds a stopgap until it is written.
    pub(crate) every_row: bool,
    /// How long a statement may take, if the model says.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "SQLite gives no statement a time of its own")
    )]
    pub(crate) timeout: Option<Duration>,
}

impl TablePlan {
    /// The columns of a row, key first: what its statement is made of.
    pub(crate) fn columns_of(&self, row: &Row<'_>) -> Vec<usize> {
        self.key
            .iter()
            .copied()
            .chain(row.values.iter().map(|(column, _)| *column))
            .collect()
    }

    /// Every column with its value, key first.
    pub(crate) fn cells<'r>(&self, row: &'r Row<'_>) -> Vec<(usize, Cow<'r, RawValue>)> {
        let key = key_parts(row.key)
            .into_iter()
            .filter_map(|part| RawValue::from_string(part).ok().map(Cow::Owned));
        let values = row
            .values
            .iter()
            .map(|&(column, value)| (column, Cow::Borrowed(value)));
        self.key.iter().copied().zip(key).chain(values).collect()
    }

    /// The rows by their sets of columns, which need a statement each.
    pub(crate) fn by_columns<'r, 'e>(
        &self,
        rows: &'r [Row<'e>],
    ) -> Vec<(Vec<usize>, Vec<&'r Row<'e>>)> {
        let mut at: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut groups: Vec<(Vec<usize>, Vec<&'r Row<'e>>)> = Vec::new();
        for row in rows {
            let columns = self.columns_of(row);
            if let Some(&group) = at.get(&columns) {
                groups[group].1.push(row);
            } else {
                at.insert(columns.clone(), groups.len());
                groups.push((columns, vec![row]));
            }
        }
        groups
    }

    /// The key of a row as JSON text, as SQL.
    pub(crate) fn key_json(&self, dialect: Dialect, alias: &str) -> String {
        let parts: Vec<_> = self
            .key
            .iter()
            .map(|&at| {
                let column = &self.columns[at];
                let value = format!("{alias}.{}", quoted(&column.name));
                key_json(dialect, &value, &column.base)
            })
            .collect();
        match parts.as_slice() {
            [one] => one.clone(),
            parts => format!("'[' || {} || ']'", parts.join(" || ',' || ")),
        }
    }

    /// Names of columns as SQL, each after `prefix`.
    pub(crate) fn list(&self, columns: &[usize], prefix: &str) -> String {
        let names: Vec<String> = columns
            .iter()
            .map(|&column| format!("{prefix}{}", quoted(&self.columns[column].name)))
            .collect();
        names.join(", ")
    }

    /// What an upsert of `t` does with the columns beside the key. A row whose key is only equal by
    /// the column's rules is another instance's, and stays as it is; `same` compares a column of `t`
    /// and of `excluded` letter by letter.
    pub(crate) fn on_conflict(&self, columns: &[usize], same: fn(&str) -> String) -> String {
        let key = self.list(&self.key, "");
        let loose = |column: &&usize| self.loose && self.columns[**column].loose;
        let sets: Vec<String> = columns
            .iter()
            .filter(|column| !self.key.contains(column) || loose(column))
            .filter(|&&column| !self.columns[column].identity)
            .map(|&column| {
                let name = quoted(&self.columns[column].name);
                format!("{name} = excluded.{name}")
            })
            .collect();
        if sets.is_empty() {
            return format!("on conflict ({key}) do nothing");
        }
        // A number of its own that is another one cannot be changed.
        let number = |&&column: &&usize| self.columns[column].identity;
        let same: Vec<String> = self
            .key
            .iter()
            .filter(loose)
            .chain(columns.iter().filter(number))
            .map(|&column| same(&quoted(&self.columns[column].name)))
            .collect();
        let only = if same.is_empty() { "" } else { "\nwhere " };
        format!(
            "on conflict ({key}) do update set {}{only}{}",
            sets.join(", "),
            same.join(" and ")
        )
    }

    /// Whether all rows were written; if not, why.
    pub(crate) fn check_written(
        &self,
        columns: &[usize],
        (rows, written): (usize, u64),
        every_row: bool,
    ) -> Result<(), Fault> {
        let own: Vec<usize> = columns
            .iter()
            .copied()
            .filter(|&at| self.columns[at].identity)
            .collect();
        if usize::try_from(written).is_ok_and(|written| written >= rows) {
            return Ok(());
        }
        if self.loose {
            let error = format!(
                "a row is there whose key ({}) is equal by the rules of its column and spelled \
                 otherwise: it must go first",
                self.list(&self.key, "")
            );
            return Err(Fault {
                unique: true,
                ..Fault::new(Reason::Constraint, error)
            });
        }
        if own.is_empty() {
            if !every_row {
                // A table of nothing but its key has nothing to update.
                if columns.len() > self.key.len() {
                    self.passed_over("upsert", (rows as u64).saturating_sub(written));
                }
                return Ok(());
            }
            let error = "a trigger has kept a row from being written";
            return Err(Fault::new(Reason::Constraint, error));
        }
        let error = format!(
            "the row has another number of its own in {}, which is generated always and cannot be \
             changed: let it be `generated by default`",
            self.list(&own, "")
        );
        Err(Fault::new(Reason::Constraint, error))
    }
}

impl TablePlan {
    /// Rows that a trigger of the table has kept as they were: that may be what it is for.
    pub(crate) fn passed_over(&self, write: &'static str, rows: u64) {
        metrics::counter!("cqrs_replica_rows_passed_over_total", "write" => write).increment(rows);
        tracing::warn!(
            table = self.table,
            write,
            rows,
            "a trigger of the table has kept rows as they were"
        );
    }
}

/// The parts of a key as JSON text, one for each column.
pub(crate) fn key_parts(key: &InstanceKey) -> Vec<String> {
    match key {
        InstanceKey::Composite(parts) => parts.iter().map(part_json).collect(),
        single => vec![single.to_json()],
    }
}

fn part_json(part: &KeyPart) -> String {
    serde_json::to_string(part).expect("numbers and strings always serialise")
}

/// What kind of value a JSON text is, for messages that must not repeat the value.
pub(crate) fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}
