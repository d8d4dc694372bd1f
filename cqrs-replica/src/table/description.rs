//! A table as its catalog describes it, compared with the model.

use std::collections::HashSet;

use super::Reference;
use crate::TableModel;

/// What the catalog says of a table.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// The table, as SQL that names no other one.
    pub(crate) table: String,
    /// In the table's order.
    pub(crate) columns: Vec<Column>,
    /// The column sets of the unique indexes that an upsert can name.
    pub(crate) unique: Vec<Vec<String>>,
    /// Those of all unique indexes on columns.
    pub(crate) all_unique: Vec<Vec<String>>,
    /// Its foreign keys.
    pub(crate) references: Vec<Reference>,
    /// The foreign keys that refer to it, each with the table that has it, and whether it keeps a row
    /// from being deleted.
    pub(crate) referring: Vec<(Reference, bool)>,
    /// Whether something runs before a row is inserted and may fill columns in.
    pub(crate) has_before_trigger: bool,
}

/// A column.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "what a catalog says")]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its type, in the database's words.
    pub(crate) type_name: String,
    /// The type behind it, which a domain has another name for, without a length.
    pub(crate) base: String,
    /// Whether its type is made of others among which there are bytes.
    pub(crate) bytes_within: bool,
    /// Whether it gives its values itself, unless told otherwise when a row is inserted, and keeps them.
    pub(crate) identity: bool,
    pub(crate) not_null: bool,
    pub(crate) has_default: bool,
    /// Whether a value may be given: not so for generated columns.
    pub(crate) writable: bool,
    /// Whether a unique index takes different texts for equal, as `citext` and collations that ignore
    /// case do.
    pub(crate) loose: bool,
}

impl Column {
    /// Whether its type is one for bytes, which come as base64 text.
    pub(crate) fn holds_bytes(&self) -> bool {
        let declared = self.base.to_ascii_uppercase();
        ["BYTEA", "BLOB", "BINARY"]
            .iter()
            .any(|word| declared.contains(word))
    }
}

impl Description {
    /// Where a column is.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns of each unique index but that of the key, of this too if it is `loose`.
    pub(crate) fn unique_beside(&self, key: &[usize], loose: bool) -> Vec<Vec<usize>> {
        let mut unique: Vec<Vec<usize>> = Vec::new();
        for names in &self.all_unique {
            let columns: Option<Vec<usize>> =
                names.iter().map(|name| self.position(name)).collect();
            let Some(columns) = columns else {
                continue;
            };
            let is_key =
                columns.len() == key.len() && columns.iter().all(|column| key.contains(column));
            if !columns.is_empty() && (!is_key || loose) && !unique.contains(&columns) {
                unique.push(columns);
            }
        }
        unique
    }

    /// All that keeps the model from being applied to this table, each with its remedy.
    pub(crate) fn problems(&self, model: &TableModel) -> Vec<String> {
        let mut problems = Vec::new();
        self.check_key(model, &mut problems);
        if let Some(mapping) = &model.columns {
            self.check_mapping(model, mapping, &mut problems);
        }
        self.check_bytes(model, &mut problems);
        problems
    }

    /// Bytes travel as base64, which cannot be told from other texts within a value of several parts.
    fn check_bytes(&self, model: &TableModel, problems: &mut Vec<String>) {
        let is_fed = |name: &String| match &model.columns {
            Some(mapping) => mapping.iter().any(|(_, column)| column == name),
            None => true,
        };
        for column in &self.columns {
            if column.bytes_within && (is_fed(&column.name) || model.key.contains(&column.name)) {
                problems.push(format!(
                    "column {:?} of table {:?} is of type {}, which has bytes within: no form is known \
                     for them; use `bytea` or `bytea[]`, or leave the column out by `columns`",
                    column.name, model.table, column.type_name
                ));
            }
        }
    }

    fn check_key(&self, model: &TableModel, problems: &mut Vec<String>) {
        let table = &model.table;
        let columns: HashSet<&str> = model.key.iter().map(String::as_str).collect();
        if model.key.is_empty() || columns.len() < model.key.len() {
            problems.push(format!(
                "table {table:?}: `key` must name its columns, each once"
            ));
            return;
        }
        let mut known = true;
        for column in &model.key {
            if self.position(column).is_none() {
                known = false;
                problems.push(format!(
                    "table {table:?} has no column {column:?}: correct `key`, or add the column"
                ));
            }
        }
        let unique = self.unique.iter().any(|index| {
            index.len() == columns.len() && index.iter().all(|name| columns.contains(name.as_str()))
        });
        if known && !unique {
            problems.push(format!(
                "table {table:?} has no unique index on ({}): create one, without a condition, or \
                 correct `key`",
                model.key.join(", ")
            ));
        }
    }

    fn check_mapping(
        &self,
        model: &TableModel,
        mapping: &[(String, String)],
        problems: &mut Vec<String>,
    ) {
        let table = &model.table;
        let mut fed: HashSet<&str> = model.key.iter().map(String::as_str).collect();
        for (member, column) in mapping {
            match self.position(column) {
                None => problems.push(format!(
                    "table {table:?} has no column {column:?} for {member:?}: correct `columns`, \
                     or add the column"
                )),
                Some(at) if !self.columns[at].writable => problems.push(format!(
                    "column {column:?} of table {table:?} is generated and takes no value: remove \
                     it from `columns`"
                )),
                Some(_) if !fed.insert(column) && !model.key.contains(column) => {
                    problems.push(format!(
                        "column {column:?} of table {table:?} is fed twice: correct `columns`"
                    ));
                }
                Some(_) => {}
            }
        }
        for column in &self.columns {
            if self.requires(column) && !fed.contains(column.name.as_str()) {
                problems.push(format!(
                    "column {:?} of table {table:?} must have a value and `columns` gives it none: \
                     map it, give it a default, or let it be null",
                    column.name
                ));
            }
        }
    }

    /// Whether a row without this column is refused.
    pub(crate) const fn requires(&self, column: &Column) -> bool {
        column.not_null && !column.has_default && column.writable && !self.has_before_trigger
    }
}
