//! Which rows are in the way of others.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    StoreError,
    database::{condition::Dialect, sqlite::classify},
};
use sqlx::{Row as _, SqliteConnection};

use super::{
    error::try_run,
    tables::{key_is, value},
};
use crate::{
    apply::{Failed, InTheWay, OBSTRUCTING},
    table::{Obstructing, Row, TablePlan, checked, key_parts, quoted},
};

/// The places of the items that such rows are in the way of, with the rows' keys as JSON; `None`: it
/// cannot be found out.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    rows: &Obstructing<'_>,
    model: Option<&TablePlan>,
    items: &[Row<'_>],
) -> Result<Option<InTheWay>, StoreError> {
    let sql: Arc<str> = statement(plan, rows, model).into();
    let mut places = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let found = match found(connection, limit, plan, rows, item, &sql).await {
            Ok(found) => found,
            Err(Failed::Fault { .. } | Failed::Outdated) => return Ok(None),
            Err(Failed::Store(error)) => return Err(error),
        };
        places.extend(found.into_iter().map(|key| (place, key)));
    }
    Ok(Some(places))
}

async fn found(
    connection: &mut SqliteConnection,
    limit: Duration,
    plan: &TablePlan,
    rows: &Obstructing<'_>,
    item: &Row<'_>,
    sql: &Arc<str>,
) -> Result<Vec<Option<String>>, Failed> {
    let mut query = sqlx::query(checked(sql));
    let key = key_parts(item.key);
    for (&column, part) in plan.key.iter().zip(&key) {
        query = value(plan, column, part)?.bind(query);
    }
    if !rows.to_delete {
        let cells = plan.cells(item);
        for (own, _) in &rows.equal {
            let cell = cells.iter().find(|(at, _)| plan.columns[*at].name == *own);
            let Some((column, json)) = cell else {
                return Ok(Vec::new());
            };
            query = value(plan, *column, json.get())?.bind(query);
        }
    }
    let found = try_run(limit, query.fetch_all(connection)).await?;
    let keys: Result<Vec<_>, _> = found.iter().map(|row| row.try_get(0)).collect();
    keys.map_err(|error| Failed::Store(classify(error)))
}

/// Binds the key's columns, then those that are compared if the row is not in its table yet.
fn statement(plan: &TablePlan, rows: &Obstructing<'_>, model: Option<&TablePlan>) -> String {
    let key = model.map_or_else(
        || "null".to_owned(),
        |model| model.key_json(Dialect::Sqlite, "o"),
    );
    let pairs = rows.equal.iter();
    let (on, from, own) = if rows.to_delete {
        let on = pairs.map(|(own, other)| format!("o.{} = r.{}", quoted(other), quoted(own)));
        let from = format!("{} as r join ", plan.table);
        (on.collect::<Vec<_>>(), from, key_is(plan, "r"))
    } else {
        let first = plan.key.len() + 1;
        let on = pairs
            .zip(first..)
            .map(|((_, other), at)| format!("o.{} = ?{at}", quoted(other)));
        let own = format!("not ({})", key_is(plan, "o"));
        (on.collect::<Vec<_>>(), String::new(), own)
    };
    format!(
        "-- cqrs-replica: obstructing\nselect {key} from {from}{} as o\n\
         where {} and {own} limit {OBSTRUCTING}",
        rows.table,
        on.join(" and "),
    )
}
