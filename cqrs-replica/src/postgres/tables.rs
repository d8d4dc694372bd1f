//! Writing to the user's tables, a set of rows at a time.

use std::{fmt::Write as _, future::Future, pin::Pin, time::Duration};

use sqlx::PgConnection;

use super::{PostgresReplica, error::try_run, timeout, values::given};
use crate::{
    apply::Failed,
    letter::{Fault, Reason},
    step::WriteTable,
    table::{Row, TablePlan, TableWrites, checked, key_parts, quoted},
};

/// How much JSON text is sent at a time.
const CHUNK: usize = 4 * 1024 * 1024;

/// Writes to a table for a hook.
#[derive(Debug, Clone, Copy)]
pub struct TableWriter {
    pub(super) limit: Duration,
    /// The model's own, which the server has been told.
    pub(super) timeout: Option<Duration>,
}

impl WriteTable<PostgresReplica> for TableWriter {
    fn write<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        plan: &'a TablePlan,
        writes: &'a TableWrites<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>> {
        Box::pin(async move {
            let written = write(connection, self.limit, plan, writes).await;
            match self.timeout {
                Some(timeout) => written.map_err(|failed| timeout::blame(failed, timeout)),
                None => written,
            }
        })
    }
}

/// Deletes, then upserts. The rows travel as JSON, so that a column's type is the table's own and a
/// number keeps its digits.
pub(super) async fn write(
    connection: &mut PgConnection,
    limit: Duration,
    plan: &TablePlan,
    writes: &TableWrites<'_>,
) -> Result<(), Failed> {
    if !writes.deletes.is_empty() {
        let sql = plan.statement(&[], |plan, _| delete(plan));
        let rows = writes.deletes.iter().map(|&key| Row {
            key,
            values: Vec::new(),
        });
        for json in texts(plan, &plan.key, rows)? {
            let delete = sqlx::query_scalar(checked(&sql)).bind(json);
            let left: i64 = try_run(limit, delete.fetch_one(&mut *connection)).await?;
            if let Ok(left @ 1..) = u64::try_from(left) {
                plan.passed_over("delete", left);
            }
        }
    }
    for (columns, rows) in plan.by_columns(&writes.rows) {
        let sql = plan.statement(&columns, upsert);
        let (count, mut written) = (rows.len(), 0);
        for json in texts(plan, &columns, rows.into_iter().cloned())? {
            let upsert = sqlx::query(checked(&sql)).bind(json);
            written += try_run(limit, upsert.execute(&mut *connection))
                .await?
                .rows_affected();
        }
        plan.check_written(&columns, (count, written), writes.every_row)
            .map_err(refused)?;
    }
    Ok(())
}

fn delete(plan: &TablePlan) -> String {
    let rows = format!(
        "json_populate_recordset(null::{}, $1::text::json) as r",
        plan.table
    );
    // A join comes in any order, so the rows are locked first, in the order of their keys. What is locked
    // and not gone then, a trigger has passed over.
    format!(
        "-- cqrs-replica: delete\nwith locked as (\n\
         select from {table} as t join {rows} on {key}\norder by {order} for update of t\n),\n\
         gone as (\ndelete from {table} as t\nusing {rows}\n\
         where {key} and (select count(*) from locked) > 0\nreturning 1\n)\n\
         select (select count(*) from locked) - (select count(*) from gone)",
        key = key_is(plan, "t", "r"),
        order = plan.list(&plan.key, "t."),
        table = plan.table,
    )
}

/// Whether two rows are of the same instance.
pub(super) fn key_is(plan: &TablePlan, one: &str, other: &str) -> String {
    let parts = plan.key.iter().map(|&column| {
        let name = quoted(&plan.columns[column].name);
        let equal = format!("{one}.{name} = {other}.{name}");
        if plan.columns[column].loose {
            format!("{equal} and {}", same(one, other, &name))
        } else {
            equal
        }
    });
    parts.collect::<Vec<_>>().join(" and ")
}

fn upsert(plan: &TablePlan, columns: &[usize]) -> String {
    format!(
        "-- cqrs-replica: upsert\ninsert into {table} as t ({})\n\
         overriding system value\nselect {}\n\
         from json_populate_recordset(null::{table}, $1::text::json) as r\norder by {}\n{}",
        plan.list(columns, ""),
        plan.list(columns, "r."),
        plan.list(&plan.key, "r."),
        plan.on_conflict(columns, |name| same("t", "excluded", name)),
        table = plan.table,
    )
}

/// Whether a column of two rows has the same text, whatever its type and collation hold of it.
fn same(one: &str, other: &str, name: &str) -> String {
    format!("{one}.{name}::text collate \"C\" = {other}.{name}::text collate \"C\"")
}

/// Makes a column's value of JSON and drops it.
pub(super) fn probe(plan: &TablePlan, column: usize) -> String {
    format!(
        "-- cqrs-replica: probe\nselect r.{} from json_populate_recordset(null::{}, $1::text::json) as r",
        quoted(&plan.columns[column].name),
        plan.table,
    )
}

/// A column's name as a JSON string.
pub(super) fn json_name(name: &str) -> String {
    serde_json::to_string(name).expect("a string always serialises")
}

fn names(plan: &TablePlan, columns: &[usize]) -> Vec<String> {
    columns
        .iter()
        .map(|&column| json_name(&plan.columns[column].name))
        .collect()
}

/// Rows of the same columns as JSON arrays of a reasonable length.
pub(super) fn texts<'e>(
    plan: &TablePlan,
    columns: &[usize],
    rows: impl Iterator<Item = Row<'e>>,
) -> Result<Vec<String>, Failed> {
    let names = names(plan, columns);
    let mut texts = Vec::new();
    let mut text = String::new();
    for row in rows {
        if text.len() > CHUNK {
            text.push(']');
            texts.push(std::mem::take(&mut text));
        }
        text.push(if text.is_empty() { '[' } else { ',' });
        let key = key_parts(row.key);
        let values = key
            .iter()
            .map(String::as_str)
            .chain(row.values.iter().map(|(_, value)| value.get()));
        for (place, (name, value)) in names.iter().zip(values).enumerate() {
            let value = given(&plan.columns[columns[place]], value).map_err(misfit)?;
            let before = if place == 0 { '{' } else { ',' };
            // Writing to a string cannot fail.
            let _ = write!(text, "{before}{name}:{value}");
        }
        text.push('}');
    }
    if !text.is_empty() {
        text.push(']');
        texts.push(text);
    }
    Ok(texts)
}

pub(super) fn misfit(error: String) -> Failed {
    refused(Fault::new(Reason::Type, error))
}

fn refused(fault: Fault) -> Failed {
    Failed::Fault { fault, lost: false }
}
