//! Foreign keys, and the constraints that errors name.

use std::{borrow::Cow, sync::Arc, time::Duration};

use cqrs_core::{StoreError, database::postgres::classify};
use serde_json::value::RawValue;
use sqlx::{PgConnection, Row};

use super::{
    error::{run, try_run},
    sql,
    tables::json_name,
    values::given,
};
use crate::{
    apply::Failed,
    letter::Violated,
    table::{Column, Reference, TablePlan, checked, quoted},
};

/// The foreign keys of a table, by its name as SQL.
pub(super) async fn describe(
    connection: &mut PgConnection,
    limit: Duration,
    table: &str,
) -> Result<Vec<Reference>, StoreError> {
    let describe = sqlx::query(sql::DESCRIBE_REFERENCES).bind(table);
    let rows = run(limit, describe.fetch_all(connection)).await?;
    let reference = |row: &sqlx::postgres::PgRow| {
        Ok(Reference {
            name: Some(row.try_get(0)?),
            columns: row.try_get(1)?,
            table: row.try_get(2)?,
            referenced: row.try_get(3)?,
        })
    };
    rows.iter()
        .map(|row| reference(row).map_err(classify))
        .collect()
}

/// The foreign keys that refer to a table, and whether they keep its rows.
pub(super) async fn referring(
    connection: &mut PgConnection,
    limit: Duration,
    table: &str,
) -> Result<Vec<(Reference, bool)>, StoreError> {
    let describe = sqlx::query(sql::DESCRIBE_REFERRING).bind(table);
    let rows = run(limit, describe.fetch_all(connection)).await?;
    let reference = |row: &sqlx::postgres::PgRow| {
        let reference = Reference {
            name: None,
            table: row.try_get(0)?,
            columns: row.try_get(1)?,
            referenced: row.try_get(2)?,
        };
        Ok((reference, row.try_get(3)?))
    };
    rows.iter()
        .map(|row| reference(row).map_err(classify))
        .collect()
}

/// The places of the rows whose values refer to no row; `None`: it cannot be found out.
pub(super) async fn orphans(
    connection: &mut PgConnection,
    limit: Duration,
    plan: &TablePlan,
    reference: &Reference,
    rows: &[Vec<Cow<'_, RawValue>>],
) -> Result<Option<Vec<usize>>, StoreError> {
    let columns: Vec<&Column> = reference
        .columns
        .iter()
        .filter_map(|name| plan.columns.iter().find(|column| column.name == *name))
        .collect();
    let texts: Vec<String> = rows
        .iter()
        .map(|values| {
            let members: Vec<String> = columns
                .iter()
                .zip(values)
                .map(|(column, value)| {
                    let json = value.get();
                    let given = given(column, json).unwrap_or(Cow::Borrowed(json));
                    format!("{}:{given}", json_name(&column.name))
                })
                .collect();
            format!("{{{}}}", members.join(","))
        })
        .collect();
    let sql: Arc<str> = statement(plan, reference).into();
    // Not kept: the server refuses a prepared query whose column has another type by now.
    let query = sqlx::query_scalar(checked(&sql))
        .bind(texts)
        .persistent(false);
    match try_run(limit, query.fetch_all(connection)).await {
        Ok(places) => {
            let places: Vec<i64> = places;
            // Ordinality counts from 1.
            let place = |place: i64| usize::try_from(place - 1).ok();
            Ok(Some(places.into_iter().filter_map(place).collect()))
        }
        // No right to read the other table, or a value that the column does not take.
        Err(Failed::Fault { .. } | Failed::Outdated) => Ok(None),
        Err(Failed::Store(error)) => Err(error),
    }
}

fn statement(plan: &TablePlan, reference: &Reference) -> String {
    let on: Vec<String> = reference
        .referenced
        .iter()
        .zip(&reference.columns)
        .map(|(referenced, column)| format!("p.{} = r.{}", quoted(referenced), quoted(column)))
        .collect();
    format!(
        "-- cqrs-replica: orphans\nselect i.place\n\
         from unnest($1::text[]) with ordinality as i(row, place)\n\
         cross join lateral json_populate_record(null::{}, i.row::json) as r\n\
         where not exists (select from {} as p where {})",
        plan.table,
        reference.table,
        on.join(" and "),
    )
}

/// The columns of a constraint.
pub(super) async fn columns(
    connection: &mut PgConnection,
    limit: Duration,
    violated: &Violated,
) -> Result<Vec<String>, StoreError> {
    let columns = sqlx::query_scalar(sql::CONSTRAINT_COLUMNS)
        .bind(&violated.table)
        .bind(&violated.name);
    run(limit, columns.fetch_all(connection)).await
}
