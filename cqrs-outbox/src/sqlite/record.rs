//! Recording in `SQLite`.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
};

use chrono::{DateTime, Utc};
use cqrs_core::{
    Clock, CqrsId, Revision, Signal, StoreError, SystemClock, database::sqlite::classify,
};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};

use super::{
    rows::{get, time, uuid, uuid_text},
    sql, tables,
};
use crate::{
    RecordError,
    bulk::RowSet,
    entry::{Answer, Earlier, Entry, NewRow, Place, Restated, Stamp, Unstamped, Written},
    store::columns::Table,
    transaction::{OpenTransaction, Writer},
};

/// What the lock has shown of an instance: its revision and its time.
type State = (Revision, DateTime<Utc>);

/// The highest id of the outbox when a transaction began that holds the write lock since: rows after
/// it are its own, whether `record` has written them or a trigger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(pub(super) i64);

impl OpenTransaction for SqliteConnection {}

impl Writer for SqliteConnection {
    async fn write(&mut self, entries: &[Entry], _coalesce: bool) -> Result<Answer, RecordError> {
        // Nothing tells one transaction of a connection from the next.
        write(self, entries, None).await
    }

    async fn earlier(
        &mut self,
        instances: &[(&CqrsId, &str)],
    ) -> Result<Vec<Earlier>, RecordError> {
        let mut found = Vec::new();
        for (cqrs_id, instance_pk) in instances {
            let rows = sqlx::query(sql::RECORD_EARLIER)
                .bind(cqrs_id.as_str())
                .bind(*instance_pk)
                .fetch_all(&mut *self)
                .await
                .map_err(failed)?;
            for row in &rows {
                found.push(earlier(row, cqrs_id, instance_pk)?);
            }
        }
        Ok(found)
    }

    async fn rewrite(
        &mut self,
        instances: &[Restated<'_>],
        gone: &[Place],
        rows: &[Unstamped<'_>],
    ) -> Result<Vec<i64>, RecordError> {
        let mut savepoint = Connection::begin(self).await.map_err(failed)?;
        let stamps = restate(&mut savepoint, instances).await?;
        let rows: Vec<_> = rows.iter().map(|row| row.stamped(&stamps)).collect();
        let ids = replace(&mut savepoint, gone, &rows).await?;
        savepoint.commit().await.map_err(failed)?;
        Ok(ids)
    }

    async fn lock(
        &mut self,
        cqrs_id: &str,
        instance_pks: &[String],
    ) -> Result<Vec<String>, RecordError> {
        ensure_transaction(self).await?;
        let mut made = Vec::new();
        for instance_pk in instance_pks {
            let locked = sqlx::query(sql::LOCK)
                .bind(cqrs_id)
                .bind(instance_pk)
                .bind(SystemClock.now().timestamp_micros())
                .execute(&mut *self)
                .await
                .map_err(failed)?;
            if locked.rows_affected() > 0 {
                made.push(instance_pk.clone());
            }
        }
        Ok(made)
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pks: &[String]) -> Result<(), RecordError> {
        for instance_pk in instance_pks {
            let unmade = sqlx::query(sql::LOCK_UNDO)
                .bind(cqrs_id)
                .bind(instance_pk)
                .execute(&mut *self)
                .await
                .map_err(failed)?;
            ensure_one(unmade.rows_affected())?;
        }
        Ok(())
    }

    async fn insert(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        ensure_transaction(self).await?;
        tables::insert(self, rows).await
    }

    async fn update(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        ensure_transaction(self).await?;
        tables::update(self, rows).await
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
    async fn write(&mut self, entries: &[Entry], coalesce: bool) -> Result<Answer, RecordError> {
        SqliteConnection::write(self, entries, coalesce).await
    }

    async fn earlier(
        &mut self,
        instances: &[(&CqrsId, &str)],
    ) -> Result<Vec<Earlier>, RecordError> {
        SqliteConnection::earlier(self, instances).await
    }

    async fn rewrite(
        &mut self,
        instances: &[Restated<'_>],
        gone: &[Place],
        rows: &[Unstamped<'_>],
    ) -> Result<Vec<i64>, RecordError> {
        SqliteConnection::rewrite(self, instances, gone, rows).await
    }

    async fn lock(
        &mut self,
        cqrs_id: &str,
        instance_pks: &[String],
    ) -> Result<Vec<String>, RecordError> {
        SqliteConnection::lock(self, cqrs_id, instance_pks).await
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pks: &[String]) -> Result<(), RecordError> {
        SqliteConnection::unmake(self, cqrs_id, instance_pks).await
    }

    async fn insert(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        SqliteConnection::insert(self, rows).await
    }

    async fn update(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        SqliteConnection::update(self, rows).await
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        SqliteConnection::read_error(error)
    }
}

async fn restate(
    connection: &mut SqliteConnection,
    instances: &[Restated<'_>],
) -> Result<Vec<Stamp>, RecordError> {
    let now = SystemClock.now();
    let mut stamps = Vec::with_capacity(instances.len());
    for instance in instances {
        let updated = if instance.undone {
            undo(connection, instance).await?;
            now
        } else {
            let restated = sqlx::query(sql::RECORD_RESTATE)
                .bind(instance.cqrs_id)
                .bind(instance.instance_pk)
                .bind(instance.deleted)
                .bind(now.timestamp_micros())
                .fetch_one(&mut *connection)
                .await
                .map_err(failed)?;
            time(REVISIONS, "updated", get(&restated, 0)?)?
        };
        stamps.push(Stamp { updated, now });
    }
    Ok(stamps)
}

async fn replace(
    connection: &mut SqliteConnection,
    gone: &[Place],
    rows: &[NewRow<'_>],
) -> Result<Vec<i64>, RecordError> {
    for place in gone {
        let removed = sqlx::query(sql::REMOVE)
            .bind(place.id)
            .bind(uuid_text(place.message_id))
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        ensure_one(removed.rows_affected())?;
    }
    let now = SystemClock.now();
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let expires_at = row.expires_at.map(|time| time.timestamp_micros());
        let Some(id) = row.id else {
            ids.push(insert(connection, row, now).await?);
            continue;
        };
        let replaced = sqlx::query(sql::RECORD_REPLACE)
            .bind(id)
            .bind(uuid_text(row.entry.message_id))
            .bind(row.entry.signal.as_str())
            .bind(&row.body)
            .bind(row.entry.traceparent())
            .bind(row.entry.forced())
            .bind(expires_at)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        ensure_one(replaced.rows_affected())?;
        ids.push(id);
    }
    Ok(ids)
}

const REVISIONS: Table = Table("cqrs_revision");

/// Writes entries, but for those of instances whose revision has been raised since the mark.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    entries: &[Entry],
    since: Option<Mark>,
) -> Result<Answer, RecordError> {
    ensure_transaction(connection).await?;
    // Several statements: all of them take effect, or none. A dropped savepoint is rolled back
    // before the connection is used again.
    let mut savepoint = Connection::begin(connection).await.map_err(failed)?;
    let now = SystemClock.now();
    let raised = match since {
        Some(mark) => mark.raised(&mut savepoint, entries).await?,
        None => HashSet::new(),
    };
    let mut states: HashMap<(&CqrsId, &str), State> = HashMap::with_capacity(entries.len());
    let mut answer = Answer::default();
    for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.leads) {
        if raised.contains(&place) {
            answer.again.push(entry.message_id);
        } else if let Some(state) = raise(&mut savepoint, entry, now).await? {
            states.insert((&entry.cqrs_id, &entry.instance_pk), state);
        }
    }
    for entry in entries {
        let Some(&(revision, updated)) = states.get(&(&entry.cqrs_id, entry.instance_pk.as_str()))
        else {
            continue;
        };
        let expires_at = entry.expires_at(now);
        let row = NewRow {
            id: None,
            entry,
            revision,
            body: entry.body.splice(revision, updated, expires_at),
            expires_at,
        };
        answer.written.push(Written {
            id: insert(&mut savepoint, &row, now).await?,
            message_id: entry.message_id,
            revision,
        });
    }
    savepoint.commit().await.map_err(failed)?;
    Ok(answer)
}

impl Mark {
    /// The mark of a transaction that holds the write lock and has not written yet.
    pub(super) async fn set(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        match sqlx::query_scalar(sql::RECORD_MARK)
            .fetch_one(connection)
            .await
        {
            Ok(id) => Ok(Self(id)),
            // There is no outbox yet: if there is to be one, it is this transaction's.
            Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => {
                Ok(Self(0))
            }
            Err(error) => Err(classify(error)),
        }
    }

    /// The places of the entries whose instance has a revision that was raised since.
    async fn raised(
        self,
        connection: &mut SqliteConnection,
        entries: &[Entry],
    ) -> Result<HashSet<usize>, RecordError> {
        let names: Vec<_> = entries
            .iter()
            .map(|entry| (entry.cqrs_id.as_str(), entry.instance_pk.as_str()))
            .collect();
        let names = serde_json::to_string(&names)
            .map_err(|error| RecordError::from(StoreError::Backend(error.into())))?;
        let places: Vec<i64> = sqlx::query_scalar(sql::RECORD_KNOWN)
            .bind(names)
            .bind(self.0)
            .fetch_all(connection)
            .await
            .map_err(failed)?;
        let places = places.into_iter().map(usize::try_from);
        Ok(places.filter_map(Result::ok).collect())
    }
}

async fn ensure_transaction(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    if !connection.is_in_transaction() {
        return Err(RecordError::NotInTransaction);
    }
    match sqlx::raw_sql(sql::RECORD_PROBE).execute(connection).await {
        Ok(_) => Err(RecordError::NotInTransaction),
        Err(sqlx::Error::Database(error)) if error.message().contains("within a transaction") => {
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Rows that this transaction has written cannot be missing, unless by the caller's hand.
fn ensure_one(found: u64) -> Result<(), RecordError> {
    if found == 1 {
        return Ok(());
    }
    let problem = format!("{found} rows instead of the one that this transaction has written");
    Err(StoreError::Backend(problem.into()).into())
}

/// The instance's state under the lock; `None` if there is nothing to write.
async fn raise(
    connection: &mut SqliteConnection,
    entry: &Entry,
    now: DateTime<Utc>,
) -> Result<Option<State>, RecordError> {
    if entry.only_live() {
        let live: bool = sqlx::query_scalar(sql::RECORD_LIVE)
            .bind(entry.cqrs_id.as_str())
            .bind(&entry.instance_pk)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if !live {
            return Ok(None);
        }
    }
    let row = sqlx::query(sql::RECORD_RAISE)
        .bind(entry.cqrs_id.as_str())
        .bind(&entry.instance_pk)
        .bind(now.timestamp_micros())
        .bind(entry.signal == Signal::Delete)
        .bind(entry.raises())
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    let updated = time(REVISIONS, "updated", get(&row, 1)?)?;
    Ok(Some((Revision(get(&row, 0)?), updated)))
}

/// Gives an instance the revision back that it had before this transaction.
async fn undo(
    connection: &mut SqliteConnection,
    instance: &Restated<'_>,
) -> Result<(), RecordError> {
    let mut undone = 0;
    for statement in [sql::LOCK_UNDO, sql::RECORD_UNDO] {
        let done = sqlx::query(statement)
            .bind(instance.cqrs_id)
            .bind(instance.instance_pk)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        undone += done.rows_affected();
    }
    ensure_one(undone)
}

async fn insert(
    connection: &mut SqliteConnection,
    row: &NewRow<'_>,
    now: DateTime<Utc>,
) -> Result<i64, RecordError> {
    let entry = row.entry;
    sqlx::query_scalar(sql::RECORD)
        .bind(uuid_text(entry.message_id))
        .bind(entry.slot().number())
        .bind(entry.cqrs_id.as_str())
        .bind(&entry.instance_pk)
        .bind(entry.signal.as_str())
        .bind(entry.queue())
        .bind(row.revision.0)
        .bind(&row.body)
        .bind(entry.traceparent())
        .bind(now.timestamp_micros())
        .bind(row.expires_at.map(|time| time.timestamp_micros()))
        .bind(entry.forced())
        .fetch_one(connection)
        .await
        .map_err(failed)
}

fn earlier(row: &SqliteRow, cqrs_id: &CqrsId, instance_pk: &str) -> Result<Earlier, RecordError> {
    let table = Table::OUTBOX;
    let expires_at: Option<i64> = get(row, 8)?;
    Ok(Earlier {
        place: Place {
            id: get(row, 0)?,
            message_id: uuid(table, "message_id", get(row, 1)?)?,
        },
        cqrs_id: cqrs_id.to_string(),
        instance_pk: instance_pk.to_owned(),
        revision: Revision(get(row, 2)?),
        signal: table.signal(get(row, 3)?)?,
        queue: table.queue(get(row, 4)?)?,
        body: get::<String>(row, 5)?.into_bytes(),
        trace: Table::trace(get(row, 6)?),
        forced: get(row, 7)?,
        expires_at: expires_at
            .map(|micros| time(table, "expires_at", micros))
            .transpose()?,
        began: get(row, 9)?,
    })
}

fn failed(error: sqlx::Error) -> RecordError {
    classify(error).into()
}
