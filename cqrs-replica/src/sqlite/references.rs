//! Foreign keys.

use std::{borrow::Cow, sync::Arc, time::Duration};

use cqrs_core::{StoreError, database::sqlite::classify};
use serde_json::value::RawValue;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    error::{run, try_run},
    sql,
    values::bindable,
};
use crate::{
    apply::Failed,
    table::{Column, Reference, TableName, TablePlan, checked, quoted},
};

/// The foreign keys of a table.
pub(super) async fn describe(
    connection: &mut SqliteConnection,
    limit: Duration,
    name: TableName<'_>,
) -> Result<Vec<Reference>, StoreError> {
    let describe = sqlx::query(sql::DESCRIBE_REFERENCES)
        .bind(name.schema.unwrap_or("main"))
        .bind(name.table);
    let rows = run(limit, describe.fetch_all(connection)).await?;
    let mut references: Vec<(i64, Reference)> = Vec::new();
    for row in &rows {
        let (id, column, table, target) = part(row).map_err(classify)?;
        if references.last().is_none_or(|(last, _)| *last != id) {
            // A foreign key stays within its schema.
            let table = TableName {
                schema: name.schema,
                table: &table,
            };
            let reference = Reference {
                name: None,
                columns: Vec::new(),
                table: table.quoted(),
                referenced: Vec::new(),
            };
            references.push((id, reference));
        }
        if let Some((_, reference)) = references.last_mut() {
            reference.columns.push(column);
            reference.referenced.extend(target);
        }
    }
    // One that refers to more columns than there are in the primary key is no use to anyone.
    let whole = |reference: &Reference| reference.columns.len() == reference.referenced.len();
    Ok(references
        .into_iter()
        .map(|(_, reference)| reference)
        .filter(whole)
        .collect())
}

/// The foreign keys that refer to a table, and whether they keep its rows.
pub(super) async fn referring(
    connection: &mut SqliteConnection,
    limit: Duration,
    name: TableName<'_>,
) -> Result<Vec<(Reference, bool)>, StoreError> {
    type Part = (String, String, String, Option<String>, bool);
    let describe = sqlx::query_as(sql::DESCRIBE_REFERRING)
        .bind(name.schema.unwrap_or("main"))
        .bind(name.table);
    let parts: Vec<Part> = run(limit, describe.fetch_all(connection)).await?;
    let mut found: Vec<(String, Reference, bool)> = Vec::new();
    for (id, table, column, target, keeps) in parts {
        if found.last().is_none_or(|(last, ..)| *last != id) {
            let table = TableName {
                schema: name.schema,
                table: &table,
            };
            let reference = Reference {
                name: None,
                columns: Vec::new(),
                table: table.quoted(),
                referenced: Vec::new(),
            };
            found.push((id, reference, keeps));
        }
        if let Some((_, reference, _)) = found.last_mut() {
            reference.columns.push(column);
            reference.referenced.extend(target);
        }
    }
    Ok(found
        .into_iter()
        .map(|(_, reference, keeps)| (reference, keeps))
        .collect())
}

fn part(row: &SqliteRow) -> Result<(i64, String, String, Option<String>), sqlx::Error> {
    Ok((
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
    ))
}

/// The places of the rows whose values refer to no row; `None`: it cannot be found out.
pub(super) async fn orphans(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    reference: &Reference,
    rows: &[Vec<Cow<'_, RawValue>>],
) -> Result<Option<Vec<usize>>, StoreError> {
    let on: Vec<String> = reference
        .referenced
        .iter()
        .map(|name| format!("{} = ?", quoted(name)))
        .collect();
    let sql: Arc<str> = format!(
        "-- cqrs-replica: orphans\nselect exists (select 1 from {} where {})",
        reference.table,
        on.join(" and ")
    )
    .into();
    let columns: Vec<&Column> = reference
        .columns
        .iter()
        .filter_map(|name| plan.columns.iter().find(|column| column.name == *name))
        .collect();
    let mut orphans = Vec::new();
    'rows: for (place, values) in rows.iter().enumerate() {
        let mut query = sqlx::query(checked(&sql));
        for (column, value) in columns.iter().zip(values) {
            let Ok(value) = bindable(column, value.get()) else {
                continue 'rows;
            };
            query = value.bind(query);
        }
        let found = match try_run(limit, query.fetch_one(&mut *connection)).await {
            Ok(row) => row.try_get::<bool, _>(0).map_err(classify)?,
            Err(Failed::Fault { .. } | Failed::Outdated) => return Ok(None),
            Err(Failed::Store(error)) => return Err(error),
        };
        if !found {
            orphans.push(place);
        }
    }
    Ok(Some(orphans))
}
