//! What the catalog says of the user's tables.

use std::{collections::BTreeMap, time::Duration};

use cqrs_core::{StoreError, database::sqlite::classify};
use serde_json::value::RawValue;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{error::run, references, sql, values};
use crate::{
    TableModel,
    table::{Column, Description, TableName, TablePlan},
};

pub(super) async fn describe(
    connection: &mut SqliteConnection,
    limit: Duration,
    model: &TableModel,
) -> Result<Option<Description>, StoreError> {
    let name = TableName::new(&model.table);
    let schema = name.schema.unwrap_or("main");
    let columns = sqlx::query(sql::DESCRIBE_COLUMNS)
        .bind(schema)
        .bind(name.table);
    let mut primary = BTreeMap::new();
    let mut description = Description {
        table: name.quoted(),
        ..Description::default()
    };
    for row in run(limit, columns.fetch_all(&mut *connection)).await? {
        let (column, place) = column(&row).map_err(classify)?;
        if place > 0 {
            primary.insert(place, column.name.clone());
        }
        description.columns.push(column);
    }
    if description.columns.is_empty() {
        return Ok(None);
    }
    // An integer primary key has no index of its own.
    let primary: Vec<String> = primary.into_values().collect();
    description.all_unique.push(primary.clone());
    description.unique.push(primary);
    let keys = sqlx::query_as(sql::DESCRIBE_KEYS)
        .bind(schema)
        .bind(name.table);
    let keys: Vec<(String, Option<String>, bool)> =
        run(limit, keys.fetch_all(&mut *connection)).await?;
    let mut indexes: BTreeMap<String, (Option<Vec<String>>, bool)> = BTreeMap::new();
    for (index, column, partial) in keys {
        let first = || (Some(Vec::new()), partial);
        let (columns, _) = indexes.entry(index).or_insert_with(first);
        *columns = columns.take().zip(column).map(|(mut columns, column)| {
            columns.push(column);
            columns
        });
    }
    for (columns, partial) in indexes.into_values() {
        let Some(columns) = columns else { continue };
        if !partial {
            description.unique.push(columns.clone());
        }
        description.all_unique.push(columns);
    }
    description.references = references::describe(&mut *connection, limit, name).await?;
    description.referring = references::referring(connection, limit, name).await?;
    Ok(Some(description))
}

fn column(row: &SqliteRow) -> Result<(Column, i64), sqlx::Error> {
    let type_name: String = row.try_get(1)?;
    let column = Column {
        name: row.try_get(0)?,
        base: without_length(&type_name),
        type_name,
        bytes_within: false,
        identity: false,
        not_null: row.try_get(2)?,
        has_default: row.try_get(3)?,
        writable: row.try_get(4)?,
        loose: row.try_get(6)?,
    };
    Ok((column, row.try_get(5)?))
}

fn without_length(type_name: &str) -> String {
    match (type_name.find('('), type_name.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", &type_name[..open], &type_name[close + 1..])
        }
        _ => type_name.to_owned(),
    }
}

/// Whether a column keeps a value. The database names the column itself when a strict table
/// refuses one, but not when it is the number of the row.
pub(super) fn takes(plan: &TablePlan, column: usize, value: &RawValue) -> bool {
    let declared = &plan.columns[column];
    let is_row_number = plan.key == [column] && declared.type_name.eq_ignore_ascii_case("integer");
    match values::bindable(declared, value.get()) {
        Err(_) => false,
        Ok(values::Value::Text(text)) if is_row_number => text.parse::<i64>().is_ok(),
        Ok(_) => true,
    }
}
