//! Recording in `PostgreSQL`.

use std::error::Error;

use cqrs_core::{Revision, StoreError, database::postgres::classify};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Row, Transaction, postgres::PgRow};

use crate::{
    RecordError,
    entry::{Entry, Written},
    transaction::{Begin, BeginTransaction, OpenTransaction, Writer},
};

const RECORD: &str = include_str!("sql/record.sql");
const LOCK: &str = include_str!("sql/lock.sql");
const LOCK_NEW: &str = include_str!("sql/lock_new.sql");
const LOCK_UNDO: &str = include_str!("sql/lock_undo.sql");

impl OpenTransaction for PgConnection {}

impl Writer for PgConnection {
    async fn write(&mut self, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        if !self.is_in_transaction() {
            return Err(RecordError::NotInTransaction);
        }
        let rows = sqlx::query(RECORD)
            .bind(column(entries, |entry| entry.message_id))
            .bind(column(entries, |entry| entry.slot().number().cast_signed()))
            .bind(column(entries, |entry| entry.cqrs_id.as_str()))
            .bind(column(entries, |entry| entry.instance_pk.as_str()))
            .bind(column(entries, |entry| entry.signal.as_str()))
            .bind(column(entries, Entry::queue))
            .bind(column(entries, |entry| entry.body.head.as_bytes()))
            .bind(column(entries, |entry| entry.body.middle.as_bytes()))
            .bind(column(entries, |entry| entry.body.tail.as_bytes()))
            .bind(column(entries, Entry::traceparent))
            .bind(column(entries, Entry::ttl_micros))
            .bind(column(entries, |entry| entry.leads))
            .bind(column(entries, Entry::raises))
            .bind(column(entries, Entry::only_live))
            .bind(column(entries, Entry::forced))
            .fetch_all(self)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| written(row).map_err(failed))
            .collect()
    }

    async fn lock(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<bool, RecordError> {
        if !self.is_in_transaction() {
            return Err(RecordError::NotInTransaction);
        }
        // A row that appears between the two statements is waited for by the second, and locked by
        // the first when it is run again.
        for _ in 0..3 {
            if execute(self, LOCK, cqrs_id, instance_pk).await? > 0 {
                return Ok(false);
            }
            if execute(self, LOCK_NEW, cqrs_id, instance_pk).await? > 0 {
                return Ok(true);
            }
        }
        Err(StoreError::Conflict("the instance's revision came and went".into()).into())
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<(), RecordError> {
        execute(self, LOCK_UNDO, cqrs_id, instance_pk)
            .await
            .map(drop)
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => RecordError::Store(classify(*error)),
            Err(error) => RecordError::Read(error),
        }
    }
}

impl OpenTransaction for Transaction<'_, Postgres> {}

impl Writer for Transaction<'_, Postgres> {
    async fn write(&mut self, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        PgConnection::write(self, entries).await
    }

    async fn lock(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<bool, RecordError> {
        PgConnection::lock(self, cqrs_id, instance_pk).await
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<(), RecordError> {
        PgConnection::unmake(self, cqrs_id, instance_pk).await
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        PgConnection::read_error(error)
    }
}

impl BeginTransaction for &PgPool {}

impl Begin for &PgPool {
    type Transaction = Transaction<'static, Postgres>;

    async fn begin_transaction(self) -> Result<Self::Transaction, StoreError> {
        let pool = self.clone();
        // Dropping the handle does not stop the task: it ends with an orderly transaction that
        // nobody takes, and rolls it back.
        #[expect(
            clippy::disallowed_methods,
            reason = "the caller's cancellation must not cut it"
        )]
        let begun = tokio::spawn(async move { pool.begin().await });
        match begun.await {
            Ok(begun) => begun.map_err(classify),
            Err(stopped) => Err(StoreError::Unavailable(stopped.into())),
        }
    }
}

/// One array for `unnest`.
fn column<'e, V>(entries: &'e [Entry], value: impl Fn(&'e Entry) -> V) -> Vec<V> {
    entries.iter().map(value).collect()
}

async fn execute(
    connection: &mut PgConnection,
    sql: &'static str,
    cqrs_id: &str,
    instance_pk: &str,
) -> Result<u64, RecordError> {
    let done = sqlx::query(sql)
        .bind(cqrs_id)
        .bind(instance_pk)
        .execute(connection)
        .await;
    done.map(|done| done.rows_affected()).map_err(failed)
}

fn written(row: &PgRow) -> Result<Written, sqlx::Error> {
    Ok(Written {
        id: row.try_get(0)?,
        message_id: row.try_get(1)?,
        revision: Revision(row.try_get(2)?),
    })
}

fn failed(error: sqlx::Error) -> RecordError {
    classify(error).into()
}
