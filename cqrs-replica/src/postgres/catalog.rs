//! What the catalog says of the user's tables.

use std::{sync::Arc, time::Duration};

use cqrs_core::StoreError;
use serde_json::value::RawValue;
use sqlx::{Connection, PgConnection, Row};

use super::{error::run, references, sql, tables, values::given};
use crate::{
    TableModel,
    apply::Failed,
    table::{Column, Description, TableName, TablePlan, checked},
};

pub(super) async fn describe(
    connection: &mut PgConnection,
    limit: Duration,
    model: &TableModel,
) -> Result<Option<Description>, StoreError> {
    let table = TableName::new(&model.table).quoted();
    let columns = sqlx::query(sql::DESCRIBE_COLUMNS).bind(&table);
    let mut description = Description::default();
    for row in run(limit, columns.fetch_all(&mut *connection)).await? {
        let column = |row: &sqlx::postgres::PgRow| {
            let before: bool = row.try_get(6)?;
            let column = Column {
                name: row.try_get(0)?,
                type_name: row.try_get(1)?,
                not_null: row.try_get(2)?,
                has_default: row.try_get(3)?,
                writable: row.try_get(4)?,
                loose: row.try_get(7)?,
                base: row.try_get(8)?,
                bytes_within: row.try_get(9)?,
                identity: row.try_get(10)?,
            };
            Ok((before, row.try_get(5)?, column))
        };
        let (before, table, column) =
            column(&row).map_err(cqrs_core::database::postgres::classify)?;
        description.has_before_trigger |= before;
        description.columns.push(column);
        // With its schema: a table may be named like a type, and is one itself.
        description.table = table;
    }
    if description.columns.is_empty() {
        return Ok(None);
    }
    let keys = sqlx::query_as(sql::DESCRIBE_KEYS).bind(&table);
    let keys: Vec<(Vec<String>, bool)> = run(limit, keys.fetch_all(&mut *connection)).await?;
    for (columns, can_be_named) in keys {
        if can_be_named {
            description.unique.push(columns.clone());
        }
        description.all_unique.push(columns);
    }
    description.references = references::describe(&mut *connection, limit, &table).await?;
    description.referring = references::referring(connection, limit, &table).await?;
    Ok(Some(description))
}

/// Tries a value on its column's type, which stores nothing.
pub(super) async fn takes(
    connection: &mut PgConnection,
    limit: Duration,
    plan: &TablePlan,
    column: usize,
    value: &RawValue,
) -> Result<bool, StoreError> {
    let Ok(value) = given(&plan.columns[column], value.get()) else {
        return Ok(false);
    };
    let name = &plan.columns[column].name;
    let sql: Arc<str> = tables::probe(plan, column).into();
    let json = format!("[{{{}:{}}}]", tables::json_name(name), value);
    // In a transaction of its own, so that an error leaves nothing behind.
    let mut transaction = run(limit, connection.begin()).await?;
    // Not kept: the server refuses a prepared query whose column has another type by now.
    let probe = sqlx::query(checked(&sql)).bind(json).persistent(false);
    let tried = super::error::try_run(limit, probe.execute(&mut *transaction)).await;
    run(limit, transaction.rollback()).await?;
    match tried {
        Ok(_) => Ok(true),
        Err(Failed::Fault { .. } | Failed::Outdated) => Ok(false),
        Err(Failed::Store(error)) => Err(error),
    }
}
