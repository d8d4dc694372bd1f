//! Writing to the user's tables, many rows in a statement.
//!
//! The rows travel as JSON, so that a column's type is the table's own and a number keeps its digits.

use std::{fmt::Write as _, sync::Arc};

use cqrs_core::database::{TableName, checked, postgres::classify, quoted};
use sqlx::PgConnection;

use crate::{RecordError, bulk::RowSet};

pub(super) async fn insert(
    connection: &mut PgConnection,
    rows: &RowSet,
) -> Result<u64, RecordError> {
    let names: Vec<String> = rows.columns.iter().map(|name| quoted(name)).collect();
    let sql = format!(
        "-- cqrs-outbox: bulk_create\ninsert into {table} ({})\nselect r.{}\n\
         from json_populate_recordset(null::{table}, $1::text::json) as r",
        names.join(", "),
        names.join(", r."),
        table = TableName::new(rows.table).quoted(),
    );
    run(connection, rows, sql).await
}

/// The rows are locked in the order of their keys before any is updated, since the join finds them in
/// an order of its own: two calls on the same rows would deadlock.
pub(super) async fn update(
    connection: &mut PgConnection,
    rows: &RowSet,
) -> Result<u64, RecordError> {
    let set: Vec<String> = rows
        .updated()
        .into_iter()
        .map(quoted)
        .map(|name| format!("{name} = r.{name}"))
        .collect();
    let key: Vec<String> = rows.key.iter().map(|name| quoted(name)).collect();
    let same: Vec<String> = key
        .iter()
        .map(|name| format!("t.{name} = r.{name}"))
        .collect();
    let sql = format!(
        "-- cqrs-outbox: bulk_update\nwith locked as materialized (\n\
         select 1 from {table} as t\n\
         join json_populate_recordset(null::{table}, $1::text::json) as r on {same}\n\
         order by t.{}\nfor no key update of t\n)\n\
         update {table} as t set {}\n\
         from json_populate_recordset(null::{table}, $1::text::json) as r\n\
         where {same} and (select count(*) from locked) >= 0",
        key.join(", t."),
        set.join(", "),
        same = same.join(" and "),
        table = TableName::new(rows.table).quoted(),
    );
    run(connection, rows, sql).await
}

async fn run(
    connection: &mut PgConnection,
    rows: &RowSet,
    sql: String,
) -> Result<u64, RecordError> {
    let sql: Arc<str> = sql.into();
    let written = sqlx::query(checked(&sql))
        .bind(json(rows))
        .execute(connection)
        .await;
    written
        .map(|written| written.rows_affected())
        .map_err(|error| RecordError::Table {
            table: rows.table,
            source: classify(error),
        })
}

/// The rows as a JSON array of objects; bytes as the text that `bytea` reads.
fn json(rows: &RowSet) -> String {
    let mut json = String::from("[");
    for (place, row) in rows.rows.iter().enumerate() {
        json.push_str(if place == 0 { "{" } else { ",{" });
        for (place, (column, value)) in row.values.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let name = serde_json::Value::from(column);
            // Writing to a string cannot fail.
            let _ = match value.get().strip_prefix('"') {
                Some(digits) if rows.bytes.contains(&column) => {
                    write!(json, "{comma}{name}:\"\\\\x{digits}")
                }
                _ => write!(json, "{comma}{name}:{}", value.get()),
            };
        }
        json.push('}');
    }
    json.push(']');
    json
}
