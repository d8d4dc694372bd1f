//! Which rows are in the way of others.

use std::{iter, sync::Arc, time::Duration};

use cqrs_core::{StoreError, database::condition::Dialect};
use sqlx::PgConnection;

use super::{
    error::try_run,
    tables::{key_is, texts},
};
use crate::{
    apply::{Failed, InTheWay, OBSTRUCTING},
    table::{Obstructing, Row, TablePlan, checked, quoted},
};

/// The places of the items that such rows are in the way of, with the rows' keys as JSON; `None`: it
/// cannot be found out.
pub(super) async fn find(
    connection: &mut PgConnection,
    limit: Duration,
    plan: &TablePlan,
    rows: &Obstructing<'_>,
    model: Option<&TablePlan>,
    items: &[Row<'_>],
) -> Result<Option<InTheWay>, StoreError> {
    let mut json = Vec::with_capacity(items.len());
    for item in items {
        let text = texts(plan, &plan.columns_of(item), iter::once(item.clone()));
        // What the column does not take is in nobody's way.
        json.push(
            text.ok()
                .and_then(|mut texts| texts.pop())
                .unwrap_or("[]".to_owned()),
        );
    }
    let sql: Arc<str> = statement(plan, rows, model).into();
    // Not kept: the server refuses a prepared query whose column has another type by now.
    let query = sqlx::query_as(checked(&sql)).bind(json).persistent(false);
    match try_run(limit, query.fetch_all(connection)).await {
        Ok(found) => {
            let found: Vec<(i64, Option<String>)> = found;
            // Ordinality counts from 1.
            let place = |(place, key): (i64, _)| Some((usize::try_from(place - 1).ok()?, key));
            Ok(Some(found.into_iter().filter_map(place).collect()))
        }
        // No right to read the other table, or a value that the column does not take.
        Err(Failed::Fault { .. } | Failed::Outdated) => Ok(None),
        Err(Failed::Store(error)) => Err(error),
    }
}

fn statement(plan: &TablePlan, rows: &Obstructing<'_>, model: Option<&TablePlan>) -> String {
    let mut on: Vec<String> = rows
        .equal
        .iter()
        .map(|(own, other)| format!("u.{} = r.{}", quoted(other), quoted(own)))
        .collect();
    let (given, stored) = if rows.to_delete {
        let on = key_is(plan, "r", "w");
        ("w", format!("join {} as r on {on}\n", plan.table))
    } else {
        on.push(format!("not ({})", key_is(plan, "u", "r")));
        ("r", String::new())
    };
    format!(
        "-- cqrs-replica: obstructing\nselect i.place, {key}\n\
         from unnest($1::text[]) with ordinality as i(json, place)\n\
         cross join lateral json_populate_recordset(null::{own}, i.json::json) as {given}\n\
         {stored}cross join lateral (\n\
         select * from {table} as u where {on} limit {OBSTRUCTING}\n) as o",
        key = model.map_or_else(
            || "null::text".to_owned(),
            |model| model.key_json(Dialect::Postgres, "o")
        ),
        own = plan.table,
        table = rows.table,
        on = on.join(" and "),
    )
}
