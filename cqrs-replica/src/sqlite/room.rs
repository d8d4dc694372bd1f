//! Values that a row has alone, given up before others take them.

use std::{sync::Arc, time::Duration};

use cqrs_core::InstanceKey;
use sqlx::SqliteConnection;

use super::{
    error::try_run,
    tables::{key_is, value},
};
use crate::{
    apply::Failed,
    table::{Row, TablePlan, checked, key_parts, quoted},
};

/// See [`crate::apply::Work::make_room`].
pub(super) async fn make(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    rows: &[Row<'_>],
    deletes: &[&InstanceKey],
) -> Result<(), Failed> {
    let gone = deletes.iter().map(|&key| Row {
        key,
        values: Vec::new(),
    });
    let gone: Vec<Row<'_>> = gone.collect();
    for unique in &plan.unique {
        let candidates = || unique.iter().copied().filter(|&at| plan.may_be_parked(at));
        let nullable = candidates().find(|&at| !plan.columns[at].not_null);
        let Some(column) = nullable.or_else(|| candidates().next()) else {
            continue;
        };
        let taken = rows.iter().flat_map(|row| &row.values);
        let taken = taken.filter(|(at, _)| *at == column);
        let highest: Option<i64> = taken.filter_map(|(_, json)| json.get().parse().ok()).max();
        for row in rows.iter().chain(&gone) {
            let changed: Vec<_> = row
                .values
                .iter()
                .filter(|(at, _)| unique.contains(at))
                .collect();
            if changed.is_empty() && !row.values.is_empty() {
                continue;
            }
            let columns: Vec<usize> = changed.iter().map(|(at, _)| *at).collect();
            let sql: Arc<str> = statement(plan, column, &columns).into();
            let mut update = sqlx::query(checked(&sql)).persistent(false);
            for (&at, part) in plan.key.iter().zip(key_parts(row.key)) {
                update = value(plan, at, &part)?.bind(update);
            }
            for (at, json) in changed {
                update = value(plan, *at, json.get())?.bind(update);
            }
            if plan.columns[column].not_null {
                update = update.bind(highest.unwrap_or(i64::MIN));
            }
            try_run(limit, update.execute(&mut *connection)).await?;
        }
    }
    Ok(())
}

/// Gives a column a value that no other row has, unless the row keeps what it has in the columns that
/// are `changed`. Binds the key, these, and for a column that takes no null the highest value that is
/// about to be written to it.
fn statement(plan: &TablePlan, column: usize, changed: &[usize]) -> String {
    let name = quoted(&plan.columns[column].name);
    let stopgap = if plan.columns[column].not_null {
        format!(
            "case typeof({name}) when 'text' then hex(randomblob(16))\n\
             when 'blob' then randomblob(16)\n\
             else max((select max(m.{name}) from {} as m), ?{}) + 1 end",
            plan.table,
            plan.key.len() + changed.len() + 1,
        )
    } else {
        "null".to_owned()
    };
    let differs: Vec<String> = changed
        .iter()
        .enumerate()
        .map(|(place, &at)| {
            let place = plan.key.len() + 1 + place;
            format!("{} is not ?{place}", quoted(&plan.columns[at].name))
        })
        .collect();
    let differs = if differs.is_empty() {
        "true".to_owned()
    } else {
        differs.join(" or ")
    };
    format!(
        "-- cqrs-replica: make_room\nupdate {} as t set {name} = {stopgap}\n\
         where {} and {name} is not null and ({differs})",
        plan.table,
        key_is(plan, "t"),
    )
}
