//! Recording in `SQLite`.

use std::{collections::HashMap, error::Error};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use cqrs_core::{Clock, CqrsId, Revision, StoreError, SystemClock, database::sqlite::classify};
use sqlx::{Connection, Row, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::{
    RecordError,
    entry::{Entry, Written},
    transaction::{Begin, BeginTransaction, OpenTransaction, Writer},
};

const PROBE: &str = include_str!("sql/record_probe.sql");
const LIVE: &str = include_str!("sql/record_live.sql");
const RAISE: &str = include_str!("sql/record_raise.sql");
const RECORD: &str = include_str!("sql/record.sql");
const LOCK: &str = include_str!("sql/lock.sql");
const LOCK_UNDO: &str = include_str!("sql/lock_undo.sql");

/// What the lock has shown of an instance: its revision and its time.
type State = (Revision, DateTime<Utc>);

impl OpenTransaction for SqliteConnection {}

impl Writer for SqliteConnection {
    async fn write(&mut self, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        ensure_transaction(self).await?;
        // Several statements: all of them take effect, or none. A dropped savepoint is rolled back
        // before the connection is used again.
        let mut savepoint = Connection::begin(self).await.map_err(failed)?;
        let now = SystemClock.now();
        let mut states: HashMap<(&CqrsId, &str), State> = HashMap::with_capacity(entries.len());
        for entry in entries.iter().filter(|entry| entry.leads) {
            if let Some(state) = raise(&mut savepoint, entry, now).await? {
                states.insert((&entry.cqrs_id, &entry.instance_pk), state);
            }
        }
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(state) = states.get(&(&entry.cqrs_id, entry.instance_pk.as_str())) {
                written.push(insert(&mut savepoint, entry, *state, now).await?);
            }
        }
        savepoint.commit().await.map_err(failed)?;
        Ok(written)
    }

    async fn lock(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<bool, RecordError> {
        ensure_transaction(self).await?;
        let made = sqlx::query(LOCK)
            .bind(cqrs_id)
            .bind(instance_pk)
            .bind(SystemClock.now().timestamp_micros())
            .execute(self)
            .await
            .map_err(failed)?;
        Ok(made.rows_affected() > 0)
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<(), RecordError> {
        let undone = sqlx::query(LOCK_UNDO)
            .bind(cqrs_id)
            .bind(instance_pk)
            .execute(self)
            .await;
        undone.map(drop).map_err(failed)
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => RecordError::Store(classify(*error)),
            Err(error) => RecordError::Read(error),
        }
    }
}

impl OpenTransaction for Transaction<'_, Sqlite> {}

impl Writer for Transaction<'_, Sqlite> {
    async fn write(&mut self, entries: &[Entry]) -> Result<Vec<Written>, RecordError> {
        SqliteConnection::write(self, entries).await
    }

    async fn lock(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<bool, RecordError> {
        SqliteConnection::lock(self, cqrs_id, instance_pk).await
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pk: &str) -> Result<(), RecordError> {
        SqliteConnection::unmake(self, cqrs_id, instance_pk).await
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        SqliteConnection::read_error(error)
    }
}

impl BeginTransaction for &SqlitePool {}

impl Begin for &SqlitePool {
    type Transaction = Transaction<'static, Sqlite>;

    async fn begin_transaction(self) -> Result<Self::Transaction, StoreError> {
        // Cancelled, it is rolled back by sqlx's own thread.
        self.begin_with("BEGIN IMMEDIATE").await.map_err(classify)
    }
}

impl BeginTransaction for &mut SqliteConnection {}

impl<'c> Begin for &'c mut SqliteConnection {
    type Transaction = Transaction<'c, Sqlite>;

    async fn begin_transaction(self) -> Result<Self::Transaction, StoreError> {
        self.begin_with("BEGIN IMMEDIATE").await.map_err(classify)
    }
}

async fn ensure_transaction(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    if !connection.is_in_transaction() {
        return Err(RecordError::NotInTransaction);
    }
    match sqlx::raw_sql(PROBE).execute(connection).await {
        Ok(_) => Err(RecordError::NotInTransaction),
        Err(sqlx::Error::Database(error)) if error.message().contains("within a transaction") => {
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

/// The instance's state under the lock; `None` if there is nothing to write.
async fn raise(
    connection: &mut SqliteConnection,
    entry: &Entry,
    now: DateTime<Utc>,
) -> Result<Option<State>, RecordError> {
    if entry.only_live() {
        let live: bool = sqlx::query_scalar(LIVE)
            .bind(entry.cqrs_id.as_str())
            .bind(&entry.instance_pk)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if !live {
            return Ok(None);
        }
    }
    let row = sqlx::query(RAISE)
        .bind(entry.cqrs_id.as_str())
        .bind(&entry.instance_pk)
        .bind(now.timestamp_micros())
        .bind(entry.signal == cqrs_core::Signal::Delete)
        .bind(entry.raises())
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    let revision = row.try_get(0).map_err(failed)?;
    let updated: i64 = row.try_get(1).map_err(failed)?;
    let updated = DateTime::from_timestamp_micros(updated).ok_or_else(|| StoreError::Corrupt {
        table: "cqrs_revision",
        column: "updated",
        source: format!("{updated} µs is no date").into(),
    })?;
    Ok(Some((Revision(revision), updated)))
}

async fn insert(
    connection: &mut SqliteConnection,
    entry: &Entry,
    (revision, updated): State,
    now: DateTime<Utc>,
) -> Result<Written, RecordError> {
    let expires = entry
        .ttl_micros()
        .map(|ttl| ceil_to_second(now + TimeDelta::microseconds(ttl)));
    let id = sqlx::query_scalar(RECORD)
        .bind(entry.message_id.hyphenated().to_string())
        .bind(entry.slot().number())
        .bind(entry.cqrs_id.as_str())
        .bind(&entry.instance_pk)
        .bind(entry.signal.as_str())
        .bind(entry.queue())
        .bind(revision.0)
        .bind(entry.body.splice(revision, updated, expires))
        .bind(entry.traceparent())
        .bind(now.timestamp_micros())
        .bind(expires.map(|time| time.timestamp_micros()))
        .bind(entry.forced())
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    Ok(Written {
        id,
        message_id: entry.message_id,
        revision,
    })
}

/// Never less than was asked for.
fn ceil_to_second(time: DateTime<Utc>) -> DateTime<Utc> {
    let second = TimeDelta::seconds(1);
    let floor = time.duration_trunc(second).unwrap_or(time);
    if floor == time { time } else { floor + second }
}

fn failed(error: sqlx::Error) -> RecordError {
    classify(error).into()
}
