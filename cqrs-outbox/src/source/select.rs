//! The statements that read a model's table.
//!
//! Their columns: the key's JSON, the canonical key, revision, its time in microseconds, whether
//! it is marked deleted, the place among the keys asked for, and then what [`Columns`] says.

use std::sync::Arc;

use cqrs_core::{
    StoreError,
    database::condition::{Bound, Dialect, Values},
    filter::Filter,
};

use super::{After, KeyValue, Source, schema};

/// A statement with its values.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: Arc<str>,
    pub(crate) bound: Vec<Bound>,
}

/// What is wanted of a row besides its key and revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Nothing.
    None,
    /// The published state as JSON.
    Json,
    /// Every column.
    All,
}

/// Which rows of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Select<'s> {
    pub(crate) source: &'s Source,
    pub(crate) columns: Columns,
    /// Beside the model's own.
    pub(crate) filter: &'s Filter,
    /// Whether revisions are wanted.
    pub(crate) revisions: bool,
    /// Only rows without a live revision.
    pub(crate) only_missing: bool,
    /// On `SQLite`, whether the values of the key's columns are blobs.
    pub(crate) blobs: &'s [bool],
}

impl Select<'_> {
    /// The name of the column with the published state.
    pub(crate) const DATA: &'static str = "cqrs: data";

    /// The next rows in the key's order.
    pub(crate) fn page(
        &self,
        after: Option<&After>,
        limit: usize,
    ) -> Result<Statement, StoreError> {
        let mut bound = Vec::new();
        let join = self.join(&mut bound);
        let key = self.source.key_columns("t").join(", ");
        let behind = match after {
            None => String::new(),
            Some(after) => {
                let values = self.key_values(after.parts(), &mut bound)?;
                format!(" and ({key}) > ({})", values.join(", "))
            }
        };
        let conditions = self.conditions(&mut bound)?;
        bound.push(Bound::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "select {} from {} as t{join} where {conditions}{behind} order by {key} limit {}",
            self.list("null"),
            self.source.table(),
            self.parameter(bound.len()),
        );
        Ok(Statement {
            sql: sql.into(),
            bound,
        })
    }

    /// The rows with these keys, in any order, each with its key's place among them.
    pub(crate) fn named(&self, keys: &[Vec<KeyValue>]) -> Result<Statement, StoreError> {
        let mut bound = Vec::new();
        let join = self.join(&mut bound);
        let columns = self.source.key_columns("t");
        for key in keys {
            if key.len() != columns.len() {
                return Err(self.no_key(key));
            }
        }
        let (from, place) = match self.source.dialect() {
            Dialect::Postgres => self.named_postgres(keys, &columns, &mut bound),
            Dialect::Sqlite => self.named_sqlite(keys, &columns, &mut bound)?,
        };
        let conditions = self.conditions(&mut bound)?;
        let sql = format!(
            "select {} from {from}{join} where {conditions}",
            self.list(place),
        );
        Ok(Statement {
            sql: sql.into(),
            bound,
        })
    }

    /// A plan for all rows, or their number.
    pub(crate) fn count(&self) -> Result<Statement, StoreError> {
        let mut bound = Vec::new();
        let conditions = self.conditions(&mut bound)?;
        let table = self.source.table();
        let sql = match self.source.dialect() {
            Dialect::Postgres => {
                format!("explain (format json) select 1 from {table} as t where {conditions}")
            }
            Dialect::Sqlite => format!("select count(*) from {table} as t where {conditions}"),
        };
        Ok(Statement {
            sql: sql.into(),
            bound,
        })
    }

    fn list(&self, place: &str) -> String {
        let source = self.source;
        let (micros, deleted) = match source.dialect() {
            Dialect::Postgres => (
                "(extract(epoch from r.updated) * 1000000)::bigint",
                "r.deleted",
            ),
            Dialect::Sqlite => ("r.updated", "r.deleted"),
        };
        // Names that no column of the table has: a type's own code finds its columns by name.
        let revision = if self.revisions {
            format!(
                "r.revision as \"cqrs: revision\", {micros} as \"cqrs: updated\", \
                 {deleted} as \"cqrs: deleted\""
            )
        } else {
            let (number, truth) = match source.dialect() {
                Dialect::Postgres => ("null::bigint", "null::boolean"),
                Dialect::Sqlite => ("null", "null"),
            };
            format!(
                "{number} as \"cqrs: revision\", {number} as \"cqrs: updated\", \
                 {truth} as \"cqrs: deleted\""
            )
        };
        let place = match source.dialect() {
            Dialect::Postgres => format!("{place}::bigint"),
            Dialect::Sqlite => place.to_owned(),
        };
        let columns = match self.columns {
            Columns::None => String::new(),
            Columns::Json => format!(", {} as \"{}\"", source.row_json("t"), Self::DATA),
            Columns::All => ", t.*".to_owned(),
        };
        format!(
            "{} as \"cqrs: key\", {} as \"cqrs: pk\", {revision}, {place} as \"cqrs: place\"{columns}",
            source.key_json("t"),
            source.instance_pk("t"),
        )
    }

    /// For each row its revision, looked up one by one: never the whole table of revisions.
    fn join(&self, bound: &mut Vec<Bound>) -> String {
        if !self.revisions {
            return String::new();
        }
        bound.push(Bound::Text(self.source.cqrs_id().to_string()));
        let model = self.parameter(bound.len());
        let pk = self.source.instance_pk("t");
        match self.source.dialect() {
            Dialect::Postgres => format!(
                " left join lateral (select known.revision, known.updated, known.deleted \
                 from cqrs_revision as known where known.cqrs_id = {model} \
                 and known.instance_pk = ({pk}) collate \"C\" limit 1) as r on true"
            ),
            Dialect::Sqlite => format!(
                " left join cqrs_revision as r on r.cqrs_id = {model} and r.instance_pk = ({pk})"
            ),
        }
    }

    fn conditions(&self, bound: &mut Vec<Bound>) -> Result<String, StoreError> {
        let mut all: Vec<String> = Vec::new();
        for column in self.source.key_columns("t") {
            all.push(format!("{column} is not null"));
        }
        let filter = self.source.filter().clone().and(self.filter.clone());
        if !filter.is_all() {
            let first = bound.len() + 1;
            let condition = self
                .source
                .condition(&filter, "t", Values::Bound { first })
                .map_err(|error| schema(error.to_string()))?;
            all.push(format!("({})", condition.sql));
            bound.extend(condition.bound);
        }
        if self.only_missing {
            all.push("(r.revision is null or r.deleted)".to_owned());
        }
        Ok(all.join(" and "))
    }

    fn named_postgres(
        &self,
        keys: &[Vec<KeyValue>],
        columns: &[String],
        bound: &mut Vec<Bound>,
    ) -> (String, &'static str) {
        let mut arrays = Vec::new();
        let mut names = Vec::new();
        let mut equal = Vec::new();
        for (place, (column, type_name)) in columns.iter().zip(self.source.key_types()).enumerate()
        {
            let texts = keys
                .iter()
                .map(|key| key[place].text().to_owned())
                .collect();
            bound.push(Bound::Texts(texts));
            arrays.push(format!("${}::text[]", bound.len()));
            names.push(format!("k{place}"));
            equal.push(format!("{column} = named.k{place}::{type_name}"));
        }
        let from = format!(
            "unnest({}) with ordinality as named ({}, place) join {} as t on {}",
            arrays.join(", "),
            names.join(", "),
            self.source.table(),
            equal.join(" and "),
        );
        (from, "named.place - 1")
    }

    fn named_sqlite(
        &self,
        keys: &[Vec<KeyValue>],
        columns: &[String],
        bound: &mut Vec<Bound>,
    ) -> Result<(String, &'static str), StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let mut values = Vec::with_capacity(key.len());
            for (place, value) in key.iter().enumerate() {
                if self.is_blob(place) {
                    hex(value).ok_or_else(|| self.no_key(key))?;
                }
                values.push(match value {
                    KeyValue::Number(digits) => digits.clone(),
                    KeyValue::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
                });
            }
            rows.push(format!("[{}]", values.join(",")));
        }
        bound.push(Bound::Text(format!("[{}]", rows.join(","))));
        let list = bound.len();
        let equal: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let value = format!("named.value ->> {place}");
                if self.is_blob(place) {
                    format!("{column} = unhex(replace({value}, '-', ''))")
                } else {
                    format!("{column} = ({value})")
                }
            })
            .collect();
        // A cross join is made in this order.
        let from = format!(
            "json_each(?{list}) as named cross join {} as t on {}",
            self.source.table(),
            equal.join(" and "),
        );
        Ok((from, "named.key"))
    }

    /// The values of a key as SQL.
    fn key_values(
        &self,
        key: &[KeyValue],
        bound: &mut Vec<Bound>,
    ) -> Result<Vec<String>, StoreError> {
        let types: Vec<_> = self.source.key_types().collect();
        if key.len() != types.len() {
            return Err(self.no_key(key));
        }
        let mut values = Vec::with_capacity(key.len());
        for (place, (value, type_name)) in key.iter().zip(types).enumerate() {
            let text = || Bound::Text(value.text().to_owned());
            let number = bound.len() + 1;
            match self.source.dialect() {
                Dialect::Postgres => {
                    bound.push(text());
                    values.push(format!("${number}::text::{type_name}"));
                }
                Dialect::Sqlite if self.is_blob(place) => {
                    let digits = hex(value).ok_or_else(|| self.no_key(key))?;
                    bound.push(Bound::Text(digits));
                    values.push(format!("unhex(?{number})"));
                }
                Dialect::Sqlite => {
                    bound.push(match value {
                        KeyValue::Number(digits) => {
                            digits.parse().map_or_else(|_| text(), Bound::Integer)
                        }
                        KeyValue::Text(_) => text(),
                    });
                    values.push(format!("?{number}"));
                }
            }
        }
        Ok(values)
    }

    fn is_blob(&self, place: usize) -> bool {
        self.blobs.get(place).copied().unwrap_or(false)
    }

    fn parameter(&self, number: usize) -> String {
        match self.source.dialect() {
            Dialect::Postgres => format!("${number}"),
            Dialect::Sqlite => format!("?{number}"),
        }
    }

    fn no_key(&self, key: &[KeyValue]) -> StoreError {
        let key: Vec<_> = key.iter().map(KeyValue::text).collect();
        schema(format!(
            "{:?} is no key of the model {}, whose key is ({})",
            key.join(","),
            self.source.cqrs_id(),
            self.source.model().key.join(", ")
        ))
    }
}

/// The digits of a blob that is a key, from its text.
fn hex(value: &KeyValue) -> Option<String> {
    let digits = value.text().replace('-', "");
    let whole = digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    (whole && matches!(value, KeyValue::Text(_))).then_some(digits)
}
