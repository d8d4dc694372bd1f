//! Names in a database: tables, key columns, and which field of an event goes with which column.

use std::{collections::BTreeMap, fmt};

use toml::de::DeValue;

use super::kind::{Kind, Raw, quoted};

/// The longest identifier, in bytes, that all databases take.
const MAX_LEN: usize = 63;

/// A table, with its schema if one was given. Not quoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema. `None`: wherever the database looks first.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// What is wrong with an identifier, if anything.
fn flaw(identifier: &str) -> Option<&'static str> {
    if identifier.is_empty() {
        Some("is empty")
    } else if identifier.contains('\0') {
        Some("contains a NUL")
    } else if identifier.len() > MAX_LEN {
        Some("is longer than 63 bytes")
    } else {
        None
    }
}

/// `table` or `schema.table`.
pub(super) struct Table;

impl Kind for Table {
    type Out = TableName;

    fn read(&self, raw: Raw<'_>) -> Result<TableName, String> {
        let text = raw.text().ok_or_else(|| raw.found())?;
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if name.contains('.')
            || schema
                .into_iter()
                .chain([name])
                .any(|part| flaw(part).is_some())
        {
            return Err(raw.found());
        }
        Ok(TableName {
            schema: schema.map(ToOwned::to_owned),
            name: name.to_owned(),
        })
    }

    fn expected(&self) -> String {
        format!("table or schema.table, each part {}", self.range())
    }

    fn show(&self, value: &TableName) -> String {
        format!("{:?}", value.to_string())
    }

    fn type_name(&self) -> &'static str {
        "string"
    }

    fn range(&self) -> String {
        format!("1 to {MAX_LEN} bytes")
    }
}

/// One column or several.
pub(super) struct Columns;

impl Kind for Columns {
    type Out = Vec<String>;

    fn read(&self, raw: Raw<'_>) -> Result<Vec<String>, String> {
        let columns: Vec<String> = match raw {
            Raw::Toml(DeValue::Array(items)) => {
                let texts = items
                    .iter()
                    .map(|item| item.get_ref().as_str().map(ToOwned::to_owned));
                texts
                    .collect::<Option<_>>()
                    .ok_or("is a list of other things than strings")?
            }
            _ => vec![raw.text().ok_or_else(|| raw.found())?.to_owned()],
        };
        if columns.is_empty() {
            return Err("is an empty list".to_owned());
        }
        for (index, column) in columns.iter().enumerate() {
            if let Some(flaw) = flaw(column) {
                return Err(format!("names a column that {flaw}"));
            }
            if columns[..index].contains(column) {
                return Err(format!("names {} twice", quoted(column)));
            }
        }
        Ok(columns)
    }

    fn expected(&self) -> String {
        format!("one column or a list of columns, each {}", self.range())
    }

    fn show(&self, value: &Vec<String>) -> String {
        if let [one] = value.as_slice() {
            format!("{one:?}")
        } else {
            format!("{value:?}")
        }
    }

    fn type_name(&self) -> &'static str {
        "string or list of strings"
    }

    fn range(&self) -> String {
        format!("1 to {MAX_LEN} bytes")
    }
}

/// `{ field = "column" }`.
pub(super) struct Mapping;

impl Kind for Mapping {
    type Out = BTreeMap<String, String>;

    fn read(&self, raw: Raw<'_>) -> Result<BTreeMap<String, String>, String> {
        let Raw::Toml(DeValue::Table(table)) = raw else {
            return Err(raw.found());
        };
        let mut columns = BTreeMap::<String, String>::new();
        for (field, column) in table {
            let field = field.get_ref();
            let Some(column) = column.get_ref().as_str() else {
                let type_name = Raw::Toml(column.get_ref()).type_name();
                return Err(format!("maps {} to {type_name}", quoted(field)));
            };
            if let Some(flaw) = flaw(column) {
                return Err(format!("maps {} to a column that {flaw}", quoted(field)));
            }
            if let Some((other, _)) = columns.iter().find(|(_, known)| *known == column) {
                let (other, field) = (quoted(other), quoted(field));
                return Err(format!(
                    "maps both {other} and {field} to {}",
                    quoted(column)
                ));
            }
            columns.insert(field.clone().into_owned(), column.to_owned());
        }
        Ok(columns)
    }

    fn expected(&self) -> String {
        format!(
            "a table of field = \"column\" with distinct columns, each {}",
            self.range()
        )
    }

    fn show(&self, value: &BTreeMap<String, String>) -> String {
        let pairs: Vec<_> = value
            .iter()
            .map(|(f, column)| format!("{f} = {column:?}"))
            .collect();
        format!("{{ {} }}", pairs.join(", "))
    }

    fn type_name(&self) -> &'static str {
        "table of strings"
    }

    fn range(&self) -> String {
        format!("columns of 1 to {MAX_LEN} bytes")
    }
}
