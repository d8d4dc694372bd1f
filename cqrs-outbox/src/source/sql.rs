//! Expressions of SQL on a row of a model's table. `alias` is the row's: `t`, `new`, `OLD`.

use cqrs_core::{
    database::{
        concatenated,
        condition::{self, Condition, Dialect, FilterColumn, Values},
        json_form, key_json, key_text, quoted,
    },
    filter::{Filter, FilterError},
};

use super::{Source, SourceColumn};

pub use cqrs_core::database::condition::Condition as SourceCondition;

/// A published field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceField {
    /// Its name in events.
    pub name: String,
    /// Its column, not quoted.
    pub column: String,
    /// The column's type in the database's words, without a length.
    pub type_name: String,
}

impl Source {
    /// The published state as JSON text, an object without revision and time.
    #[must_use]
    pub fn row_json(&self, alias: &str) -> String {
        let members: Vec<String> = self
            .fields()
            .iter()
            .map(|field| {
                let name = serde_json::Value::from(field.name.as_str()).to_string();
                let name = condition::literal(self.dialect(), &format!("{name}:"));
                format!("{name} || {}", self.field_json(field, alias))
            })
            .collect();
        match members.len() {
            0 => "'{}'".to_owned(),
            _ => format!("'{{' || {} || '}}'", concatenated(members, " || ',' || ")),
        }
    }

    /// The value of a field as JSON text. One that is part of the key has the form that it has there, or
    /// whoever takes the key from the data would take it for another.
    #[must_use]
    pub fn field_json(&self, field: &SourceField, alias: &str) -> String {
        if let Some(part) = self.key.iter().find(|part| part.name == field.column) {
            return self.part_json(part, alias);
        }
        self.form(Form::Json, alias, &field.column, &field.type_name)
    }

    /// The key as JSON text, as it stands in messages.
    #[must_use]
    pub fn key_json(&self, alias: &str) -> String {
        match self.key.as_slice() {
            [one] => self.part_json(one, alias),
            parts => {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|part| self.part_json(part, alias))
                    .collect();
                format!("'[' || {} || ']'", parts.join(" || ',' || "))
            }
        }
    }

    /// The canonical key.
    #[must_use]
    pub fn instance_pk(&self, alias: &str) -> String {
        match self.key.as_slice() {
            [one] => self.form(Form::Key, alias, &one.name, &one.type_name),
            // As of one column, in the order in which everybody locks revisions.
            _ => match self.dialect {
                Dialect::Postgres => format!("(({}) collate \"C\")", self.key_json(alias)),
                Dialect::Sqlite => self.key_json(alias),
            },
        }
    }

    /// The key's columns as SQL, in the model's order.
    #[must_use]
    pub fn key_columns(&self, alias: &str) -> Vec<String> {
        let column = |part: &SourceColumn| format!("{alias}.{}", quoted(&part.name));
        self.key.iter().map(column).collect()
    }

    /// The key's columns as the key's index orders them.
    pub(crate) fn key_order(&self, alias: &str) -> Vec<String> {
        let columns = self.key_columns(alias).into_iter();
        let ordered = columns.zip(&self.key_collations);
        ordered
            .map(|(column, collation)| match collation {
                Some(collation) => format!("{column} collate {collation}"),
                None => column,
            })
            .collect()
    }

    /// The types of the key's columns, likewise.
    pub fn key_types(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|part| part.type_name.as_str())
    }

    /// A filter as a condition on a row. It may name published fields, columns, and `pk`.
    ///
    /// # Errors
    /// It names something else, or `pk` of a key of several columns.
    pub fn condition(
        &self,
        filter: &Filter,
        alias: &str,
        values: Values,
    ) -> Result<Condition, FilterError> {
        if self.key.len() > 1 && names_pk(filter) {
            return Err(FilterError(format!(
                "names `pk`, and the key has several columns: name them ({})",
                self.model().key.join(", ")
            )));
        }
        condition::condition(filter, self.dialect(), values, |name| {
            let (column, type_name) = self.column(name)?;
            Some(FilterColumn {
                sql: format!("{alias}.{}", quoted(column)),
                type_name: type_name.to_owned(),
            })
        })
    }

    /// The same with literals.
    ///
    /// # Errors
    /// As [`Self::condition`].
    pub fn literal_condition(&self, filter: &Filter, alias: &str) -> Result<String, FilterError> {
        Ok(self.condition(filter, alias, Values::Literal)?.sql)
    }

    fn column(&self, name: &str) -> Option<(&str, &str)> {
        let field = self.fields().iter().find(|field| field.name == name);
        if let Some(field) = field {
            return Some((&field.column, &field.type_name));
        }
        let column = match (name, self.key.as_slice()) {
            ("pk", [key]) => Some(key),
            _ => self.columns.iter().find(|column| column.name == name),
        };
        column.map(|column| (column.name.as_str(), column.type_name.as_str()))
    }

    fn part_json(&self, part: &SourceColumn, alias: &str) -> String {
        self.form(Form::KeyJson, alias, &part.name, &part.type_name)
    }

    fn form(&self, form: Form, alias: &str, column: &str, type_name: &str) -> String {
        let value = format!("{alias}.{}", quoted(column));
        match (&self.form_function, form) {
            (Some(function), Form::Json) => format!("{function}({value}, 'json')"),
            (Some(function), Form::Key) => format!("({function}({value}, 'key') collate \"C\")"),
            (Some(function), Form::KeyJson) => format!("{function}({value}, 'key as json')"),
            (None, Form::Json) => json_form(self.dialect, &value, type_name),
            (None, Form::Key) => key_text(self.dialect, &value, type_name),
            (None, Form::KeyJson) => key_json(self.dialect, &value, type_name),
        }
    }
}

enum Form {
    Json,
    Key,
    KeyJson,
}

fn names_pk(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(names_pk),
        Filter::Field { name, .. } => name == "pk",
    }
}
