//! Writing to the user's tables, row by row: bound values keep what JSON functions would round.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use sqlx::SqliteConnection;

use super::{SqliteReplica, error::try_run, values::bindable};
use crate::{
    apply::Failed,
    letter::{Fault, Reason},
    step::WriteTable,
    table::{Row, TablePlan, TableWrites, checked, key_parts, quoted},
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

/// A statement on one row.
struct Statement<'w> {
    sql: Arc<str>,
    row: Row<'w>,
    /// Whether it must make or change the row.
    writes: bool,
    /// Whether a trigger must not prevent that.
    every_row: bool,
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
        let delete = |&key| Statement {
            sql: Arc::clone(&sql),
            row: Row {
                key,
                values: Vec::new(),
            },
            writes: false,
            every_row: false,
        };
        let deletes = writes.deletes.iter().map(delete).collect();
        in_some_order(connection, limit, plan, deletes).await?;
    }
    let mut upserts = Vec::with_capacity(writes.rows.len());
    for (columns, rows) in plan.by_columns(&writes.rows) {
        let sql = plan.statement(&columns, upsert);
        upserts.extend(rows.into_iter().map(|row| Statement {
            sql: Arc::clone(&sql),
            row: row.clone(),
            writes: true,
            every_row: writes.every_row,
        }));
    }
    in_some_order(connection, limit, plan, upserts).await
}

/// Runs statements, those later that a foreign key refuses: rows of one table may refer to each other,
/// and each statement is judged by itself.
async fn in_some_order(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    mut statements: Vec<Statement<'_>>,
) -> Result<(), Failed> {
    while !statements.is_empty() {
        let count = statements.len();
        let mut refused = None;
        let mut left = Vec::new();
        for statement in statements {
            match run(connection, limit, plan, &statement).await {
                Ok(()) => {}
                Err(failed) if failed.is_reference() => {
                    refused = Some(failed);
                    left.push(statement);
                }
                Err(failed) => return Err(failed),
            }
        }
        match refused {
            Some(failed) if left.len() == count => return Err(failed),
            _ => {}
        }
        // Often they came in just the wrong order.
        left.reverse();
        statements = left;
    }
    Ok(())
}

async fn run(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    statement: &Statement<'_>,
) -> Result<(), Failed> {
    let mut query = sqlx::query(checked(&statement.sql));
    let key = key_parts(statement.row.key);
    for (&column, part) in plan.key.iter().zip(&key) {
        query = value(plan, column, part)?.bind(query);
    }
    for (column, json) in &statement.row.values {
        query = value(plan, *column, RawValue::get(json))?.bind(query);
    }
    let done = try_run(limit, query.execute(&mut *connection)).await?;
    if done.rows_affected() > 0 {
        return Ok(());
    }
    if statement.writes {
        let values = statement.row.values.iter().map(|(column, _)| *column);
        let columns: Vec<usize> = plan.key.iter().copied().chain(values).collect();
        return plan
            .check_written(&columns, (1, 0), statement.every_row)
            .map_err(refused);
    }
    let there: Arc<str> = format!(
        "-- cqrs-replica: is_there\nselect 1 from {} as t where {}",
        plan.table,
        key_is(plan, "t")
    )
    .into();
    let mut query = sqlx::query(checked(&there));
    for (&column, part) in plan.key.iter().zip(&key) {
        query = value(plan, column, part)?.bind(query);
    }
    let left = try_run(limit, query.fetch_all(connection)).await?;
    if !left.is_empty() {
        plan.passed_over("delete", left.len() as u64);
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
    format!(
        "-- cqrs-replica: delete\ndelete from {} as t where {}",
        plan.table,
        key_is(plan, "t")
    )
}

/// Whether a row is the one of the key that is bound first.
pub(super) fn key_is(plan: &TablePlan, alias: &str) -> String {
    let parts = plan.key.iter().enumerate().map(|(place, &column)| {
        let (name, place) = (quoted(&plan.columns[column].name), place + 1);
        // The first finds the row by the index, the second holds only the same text for equal.
        format!("{alias}.{name} = ?{place} and {alias}.{name} = ?{place} collate binary")
    });
    parts.collect::<Vec<_>>().join(" and ")
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
