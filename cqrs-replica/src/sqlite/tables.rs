//! Writing to the user's tables, row by row: bound values keep what JSON functions would round.

use std::{future::Future, pin::Pin, time::Duration};

use serde_json::value::RawValue;
use sqlx::SqliteConnection;

use super::{SqliteReplica, error::try_run, values::bindable};
use crate::{
    apply::Failed,
    letter::{Fault, Reason},
    step::WriteTable,
    table::{TablePlan, TableWrites, checked, key_parts, quoted},
};

/// Writes to a table for a hook.
#[derive(Debug, Clone, Copy)]
pub struct TableWriter {
    pub(super) limit: Duration,
}

impl WriteTable<SqliteReplica> for TableWriter {
    fn write<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
        plan: &'a TablePlan,
        writes: &'a TableWrites<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>> {
        Box::pin(write(connection, self.limit, plan, writes))
    }
}

/// Deletes, then upserts.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    writes: &TableWrites<'_>,
) -> Result<(), Failed> {
    if !writes.deletes.is_empty() {
        let sql = plan.statement(&[], |plan, _| delete(plan));
        for key in &writes.deletes {
            let mut delete = sqlx::query(checked(&sql));
            for (&column, part) in plan.key.iter().zip(key_parts(key)) {
                delete = value(plan, column, &part)?.bind(delete);
            }
            try_run(limit, delete.execute(&mut *connection)).await?;
        }
    }
    for (columns, rows) in plan.by_columns(&writes.rows) {
        let sql = plan.statement(&columns, upsert);
        for row in rows {
            let mut upsert = sqlx::query(checked(&sql));
            for (&column, part) in plan.key.iter().zip(key_parts(row.key)) {
                upsert = value(plan, column, &part)?.bind(upsert);
            }
            for (column, json) in &row.values {
                upsert = value(plan, *column, RawValue::get(json))?.bind(upsert);
            }
            let done = try_run(limit, upsert.execute(&mut *connection)).await?;
            plan.check_written(1, done.rows_affected())
                .map_err(refused)?;
        }
    }
    Ok(())
}

pub(super) fn value<'j>(
    plan: &TablePlan,
    column: usize,
    json: &'j str,
) -> Result<super::values::Value<'j>, Failed> {
    bindable(&plan.columns[column], json).map_err(|error| refused(Fault::new(Reason::Type, error)))
}

fn refused(fault: Fault) -> Failed {
    Failed::Fault { fault, lost: false }
}

fn delete(plan: &TablePlan) -> String {
    let on: Vec<String> = plan
        .key
        .iter()
        .enumerate()
        .map(|(place, &column)| {
            let (name, place) = (quoted(&plan.columns[column].name), place + 1);
            // The first finds the row by the index, the second holds only the same text for equal.
            format!("{name} = ?{place} and {name} = ?{place} collate binary")
        })
        .collect();
    format!(
        "-- cqrs-replica: delete\ndelete from {} where {}",
        plan.table,
        on.join(" and ")
    )
}

fn upsert(plan: &TablePlan, columns: &[usize]) -> String {
    format!(
        "-- cqrs-replica: upsert\ninsert into {} as t ({}) values ({})\n{}",
        plan.table,
        plan.list(columns, ""),
        vec!["?"; columns.len()].join(", "),
        plan.on_conflict(columns, |name| format!(
            "t.{name} = excluded.{name} collate binary"
        )),
    )
}
