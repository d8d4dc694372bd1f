//! Values that a row has alone, given up before others take them.

use std::{sync::Arc, time::Duration};

use cqrs_core::InstanceKey;
use sqlx::PgConnection;

use super::{
    error::{run, try_run},
    sql,
    tables::{json_name, key_is, texts},
};
use crate::{
    apply::Failed,
    table::{Column, Row, TablePlan, checked, quoted},
};

/// See [`crate::apply::Work::make_room`].
pub(super) async fn make(
    connection: &mut PgConnection,
    limit: Duration,
    plan: &TablePlan,
    rows: &[Row<'_>],
    deletes: &[&InstanceKey],
) -> Result<(), Failed> {
    if plan.unique.is_empty() || (rows.is_empty() && deletes.is_empty()) {
        return Ok(());
    }
    let defer = sqlx::query(sql::DEFER_CONSTRAINTS).execute(&mut *connection);
    run(limit, defer).await?;
    for unique in &plan.unique {
        let Some((column, value)) = stopgap(plan, unique) else {
            continue;
        };
        let taken = taken(plan, column, rows);
        for (columns, rows) in plan.by_columns(rows) {
            let changed: Vec<usize> = unique
                .iter()
                .copied()
                .filter(|column| columns.contains(column))
                .collect();
            if changed.is_empty() {
                continue;
            }
            let sql: Arc<str> = statement(plan, column, &value, &changed).into();
            for json in texts(plan, &columns, rows.into_iter().cloned())? {
                let update = sqlx::query(checked(&sql)).bind(json).bind(&taken);
                let update = update.persistent(false);
                try_run(limit, update.execute(&mut *connection)).await?;
            }
        }
        let gone = deletes.iter().map(|&key| Row {
            key,
            values: Vec::new(),
        });
        let sql: Arc<str> = statement(plan, column, &value, &[]).into();
        for json in texts(plan, &plan.key, gone)? {
            let update = sqlx::query(checked(&sql)).bind(json).bind(&taken);
            let update = update.persistent(false);
            try_run(limit, update.execute(&mut *connection)).await?;
        }
    }
    Ok(())
}

/// A column of these, and a value for it that no other row has. It stands there until the row itself is
/// written, in the same transaction.
fn stopgap(plan: &TablePlan, unique: &[usize]) -> Option<(usize, String)> {
    let candidates = || unique.iter().copied().filter(|&at| plan.may_be_parked(at));
    if let Some(nullable) = candidates().find(|&at| !plan.columns[at].not_null) {
        return Some((nullable, "null".to_owned()));
    }
    candidates().find_map(|at| {
        let Column {
            name, type_name, ..
        } = &plan.columns[at];
        let name = quoted(name);
        let highest = format!(
            "(select max(m.{name}) from (\n\
             select {name} from {table} union all\n\
             select {name} from json_populate_recordset(null::{table}, $2::text::json)\n) as m)",
            table = plan.table
        );
        let value = match &*plan.columns[at].base {
            "smallint" | "integer" | "bigint" | "numeric" => format!("{highest} + n.place"),
            "date" => format!("{highest} + n.place::integer"),
            "timestamp without time zone" | "timestamp with time zone" => {
                format!("{highest} + n.place * interval '1 day'")
            }
            // A cast cuts it down to the column's length.
            "text" | "character varying" | "character" | "citext" | "uuid" => {
                format!("md5(random()::text || clock_timestamp()::text)::{type_name}")
            }
            _ => return None,
        };
        Some((at, value))
    })
}

/// What rows are to have in a column.
fn taken(plan: &TablePlan, column: usize, rows: &[Row<'_>]) -> String {
    let name = json_name(&plan.columns[column].name);
    let values = rows.iter().flat_map(|row| &row.values);
    let objects: Vec<String> = values
        .filter(|(at, _)| *at == column)
        .map(|(_, value)| format!("{{{name}:{value}}}"))
        .collect();
    format!("[{}]", objects.join(","))
}

/// Rows that change nothing of these columns stay as they are; without any, all change.
fn statement(plan: &TablePlan, column: usize, value: &str, changed: &[usize]) -> String {
    let column = quoted(&plan.columns[column].name);
    let differs: Vec<String> = changed
        .iter()
        .map(|&at| {
            let name = quoted(&plan.columns[at].name);
            format!("t.{name} is distinct from (n.own).{name}")
        })
        .collect();
    let differs = if differs.is_empty() {
        "true".to_owned()
    } else {
        differs.join(" or ")
    };
    format!(
        "-- cqrs-replica: make_room\nupdate {table} as t set {column} = {value}\n\
         from (\nselect r as own, row_number() over () as place\n\
         from json_populate_recordset(null::{table}, $1::text::json) as r\n) as n\n\
         where {} and t.{column} is not null and $2::text is not null and ({differs})",
        key_is(plan, "t", "(n.own)"),
        table = plan.table,
    )
}
