//! What the catalog says of a model's table.

use std::collections::BTreeMap;

use cqrs_core::{
    StoreError,
    database::{TableName, sqlite::classify},
};
use sqlx::SqliteConnection;

use super::{rows::get, sql};
use crate::source::{Catalog, Dialect, Source, SourceColumn, SourceModel};

impl Source {
    /// Compares a model with its table in `SQLite`.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit, each with its remedy; otherwise a failure
    /// of the database.
    ///
    /// # Cancel safety
    /// Safe: it reads.
    pub async fn in_sqlite(
        connection: &mut SqliteConnection,
        model: SourceModel,
    ) -> Result<Self, StoreError> {
        let name = TableName::new(&model.table);
        let schema = name.schema.unwrap_or("main");
        let rows = sqlx::query(sql::SOURCE_COLUMNS)
            .bind(schema)
            .bind(name.table)
            .fetch_all(&mut *connection)
            .await
            .map_err(classify)?;
        let mut columns = Vec::with_capacity(rows.len());
        let mut primary = BTreeMap::new();
        for row in &rows {
            let column = SourceColumn {
                name: get(row, 0)?,
                type_name: get(row, 1)?,
            };
            let place: i64 = get(row, 2)?;
            if place > 0 {
                primary.insert(place, column.name.clone());
            }
            columns.push(column);
        }
        if columns.is_empty() {
            return Self::new(model, Dialect::Sqlite, None);
        }
        let keys: Vec<(String, Option<String>)> = sqlx::query_as(sql::SOURCE_KEYS)
            .bind(schema)
            .bind(name.table)
            .fetch_all(connection)
            .await
            .map_err(classify)?;
        let mut indexes: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
        for (index, column) in keys {
            let columns = indexes.entry(index).or_insert_with(|| Some(Vec::new()));
            *columns = columns.take().zip(column).map(|(mut columns, column)| {
                columns.push(column);
                columns
            });
        }
        // An integer primary key has no index of its own.
        let mut unique = vec![primary.into_values().collect()];
        unique.extend(indexes.into_values().flatten());
        let catalog = Catalog {
            table: name.quoted(),
            columns,
            unique,
        };
        Self::new(model, Dialect::Sqlite, Some(catalog))
    }
}
