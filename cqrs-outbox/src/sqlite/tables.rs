//! Writing to the user's tables, many rows in a statement.
//!
//! The rows travel as JSON arrays, their values in the order of the columns, since `->>` takes names
//! apart. A column's type then converts what comes as it does anything else.

use std::sync::Arc;

use cqrs_core::database::{TableName, checked, quoted, sqlite::classify};
use sqlx::SqliteConnection;

use crate::{Problem, RecordError, bulk::RowSet};

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    rows: &RowSet,
) -> Result<u64, RecordError> {
    let names: Vec<String> = rows.columns.iter().map(|name| quoted(name)).collect();
    let values: Vec<String> = rows.columns.iter().map(|name| value(rows, name)).collect();
    let sql = format!(
        "-- cqrs-outbox: bulk_create\ninsert into {} ({})\nselect {}\nfrom json_each(?1) as r",
        TableName::new(rows.table).quoted(),
        names.join(", "),
        values.join(", "),
    );
    run(connection, rows, sql).await
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    rows: &RowSet,
) -> Result<u64, RecordError> {
    let set: Vec<String> = rows
        .updated()
        .into_iter()
        .map(|name| format!("{} = {}", quoted(name), value(rows, name)))
        .collect();
    let key: Vec<String> = rows
        .key
        .iter()
        .map(|name| format!("t.{} = {}", quoted(name), value(rows, name)))
        .collect();
    let sql = format!(
        "-- cqrs-outbox: bulk_update\nupdate {} as t set {}\nfrom json_each(?1) as r\nwhere {}",
        TableName::new(rows.table).quoted(),
        set.join(", "),
        key.join(" and "),
    );
    run(connection, rows, sql).await
}

async fn run(
    connection: &mut SqliteConnection,
    rows: &RowSet,
    sql: String,
) -> Result<u64, RecordError> {
    let sql: Arc<str> = sql.into();
    let written = sqlx::query(checked(&sql))
        .bind(json(rows)?)
        .execute(connection)
        .await;
    written
        .map(|written| written.rows_affected())
        .map_err(|error| RecordError::Table {
            table: rows.table,
            source: classify(error),
        })
}

/// A column's value in the JSON of a row. Every row has every column.
fn value(rows: &RowSet, column: &str) -> String {
    let place = rows.columns.iter().position(|name| name == column);
    let value = format!("r.value ->> {}", place.unwrap_or_default());
    if rows.bytes.contains(&column) {
        format!("unhex({value})")
    } else {
        format!("({value})")
    }
}

fn json(rows: &RowSet) -> Result<String, RecordError> {
    let mut json = String::from("[");
    for (place, row) in rows.rows.iter().enumerate() {
        json.push_str(if place == 0 { "[" } else { ",[" });
        for (place, column) in rows.columns.iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            let value = row.values.get(column).map_or("null", |value| value.get());
            if is_too_wide(value) {
                let column = column.clone();
                let problem = Problem::TooWide { column };
                return Err(RecordError::invalid(
                    rows.cqrs_id,
                    &row.instance_pk,
                    problem,
                ));
            }
            json.push_str(value);
        }
        json.push(']');
    }
    json.push(']');
    Ok(json)
}

/// Whether it is an integer that would become a float.
fn is_too_wide(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<i64>().is_err()
}
