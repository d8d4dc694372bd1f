//! The statements of `docs/migrating-from-django-cqrs.md`, as its readers find them.

use anyhow::{Context, Result};
use cqrs_tests::database::Database;
use sqlx::AssertSqlSafe;

use crate::our_master::pool;

const DOCUMENT: &str = include_str!("../../docs/migrating-from-django-cqrs.md");

/// The SQL of a step.
fn statement(step: &str) -> Result<&'static str> {
    let start = format!("-- step: {step}\n");
    let (_, rest) = DOCUMENT
        .split_once(&start)
        .with_context(|| format!("the document has no step {step:?}"))?;
    let (sql, _) = rest.split_once("```").context("the block ends")?;
    Ok(sql.trim().trim_end_matches(';'))
}

/// Does a step for another model than the document's `customer`, which has an `id` too, and for
/// another queue than its `billing`.
pub(crate) async fn step(database: &Database, step: &str, model: &str, queue: &str) -> Result<()> {
    let sql = adapted(step, model, queue)?;
    sqlx::query(AssertSqlSafe(sql))
        .execute(pool(database))
        .await?;
    Ok(())
}

/// What a step that checks answers.
pub(crate) async fn check(
    database: &Database,
    step: &str,
    model: &str,
    queue: &str,
) -> Result<i64> {
    let sql = adapted(step, model, queue)?;
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(pool(database))
        .await?)
}

fn adapted(step: &str, model: &str, queue: &str) -> Result<String> {
    let sql = statement(step)?.replace("customer", model);
    Ok(sql.replace("'billing'", &format!("'{queue}'")))
}
