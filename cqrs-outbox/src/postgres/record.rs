//! Recording in `PostgreSQL`.

use std::error::Error;

use cqrs_core::{
    CqrsId, Revision, StoreError,
    database::postgres::{begin, classify},
};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction, postgres::PgRow};

use super::{
    rows::{get, slot_number},
    sql, tables,
};
use crate::{
    RecordError,
    bulk::RowSet,
    entry::{Answer, Earlier, Entry, NewRow, Place, Restated, Stamp, Unstamped, Written},
    store::columns::Table,
    transaction::{Begin, BeginTransaction, OpenTransaction, Writer},
};

impl OpenTransaction for PgConnection {}

impl Writer for PgConnection {
    async fn write(&mut self, entries: &[Entry], coalesce: bool) -> Result<Answer, RecordError> {
        ensure_transaction(self)?;
        let rows = sqlx::query(sql::RECORD)
            .bind(column(entries, |entry| entry.message_id))
            .bind(column(entries, |entry| slot_number(entry.slot())))
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
            .bind(coalesce)
            .fetch_all(self)
            .await
            .map_err(failed)?;
        let mut answer = Answer::default();
        for row in &rows {
            let message_id = get(row, 1)?;
            match get::<Option<i64>>(row, 0)? {
                Some(id) => answer.written.push(Written {
                    id,
                    message_id,
                    revision: Revision(get(row, 2)?),
                }),
                None => answer.again.push(message_id),
            }
        }
        Ok(answer)
    }

    async fn earlier(
        &mut self,
        instances: &[(&CqrsId, &str)],
    ) -> Result<Vec<Earlier>, RecordError> {
        let rows = sqlx::query(sql::RECORD_EARLIER)
            .bind(column(instances, |(cqrs_id, _)| cqrs_id.as_str()))
            .bind(column(instances, |(_, instance_pk)| *instance_pk))
            .fetch_all(self)
            .await
            .map_err(failed)?;
        rows.iter().map(earlier).collect()
    }

    async fn rewrite(
        &mut self,
        instances: &[Restated<'_>],
        gone: &[Place],
        rows: &[Unstamped<'_>],
    ) -> Result<Vec<i64>, RecordError> {
        let stamps = restate(self, instances).await?;
        let rows: Vec<_> = rows.iter().map(|row| row.stamped(&stamps)).collect();
        replace(self, gone, &rows).await
    }

    async fn lock(
        &mut self,
        cqrs_id: &str,
        instance_pks: &[String],
    ) -> Result<Vec<String>, RecordError> {
        ensure_transaction(self)?;
        sqlx::query_scalar(sql::LOCK)
            .bind(cqrs_id)
            .bind(instance_pks)
            .fetch_all(self)
            .await
            .map_err(failed)
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pks: &[String]) -> Result<(), RecordError> {
        let unmade = sqlx::query(sql::LOCK_UNDO)
            .bind(cqrs_id)
            .bind(instance_pks)
            .execute(self)
            .await
            .map_err(failed)?;
        let unmade = usize::try_from(unmade.rows_affected()).unwrap_or(usize::MAX);
        ensure_all(unmade, instance_pks.len())
    }

    async fn insert(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        ensure_transaction(self)?;
        tables::insert(self, rows).await
    }

    async fn update(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        ensure_transaction(self)?;
        tables::update(self, rows).await
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
    async fn write(&mut self, entries: &[Entry], coalesce: bool) -> Result<Answer, RecordError> {
        PgConnection::write(self, entries, coalesce).await
    }

    async fn earlier(
        &mut self,
        instances: &[(&CqrsId, &str)],
    ) -> Result<Vec<Earlier>, RecordError> {
        PgConnection::earlier(self, instances).await
    }

    async fn rewrite(
        &mut self,
        instances: &[Restated<'_>],
        gone: &[Place],
        rows: &[Unstamped<'_>],
    ) -> Result<Vec<i64>, RecordError> {
        PgConnection::rewrite(self, instances, gone, rows).await
    }

    async fn lock(
        &mut self,
        cqrs_id: &str,
        instance_pks: &[String],
    ) -> Result<Vec<String>, RecordError> {
        PgConnection::lock(self, cqrs_id, instance_pks).await
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pks: &[String]) -> Result<(), RecordError> {
        PgConnection::unmake(self, cqrs_id, instance_pks).await
    }

    async fn insert(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        PgConnection::insert(self, rows).await
    }

    async fn update(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        PgConnection::update(self, rows).await
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        PgConnection::read_error(error)
    }
}

impl BeginTransaction for &PgPool {}

impl Begin for &PgPool {
    type Transaction = Transaction<'static, Postgres>;

    async fn begin_transaction(self) -> Result<Self::Transaction, StoreError> {
        begin(self, "BEGIN").await
    }
}

async fn restate(
    connection: &mut PgConnection,
    instances: &[Restated<'_>],
) -> Result<Vec<Stamp>, RecordError> {
    let rows = sqlx::query(sql::RECORD_RESTATE)
        .bind(column(instances, |instance| instance.cqrs_id))
        .bind(column(instances, |instance| instance.instance_pk))
        .bind(column(instances, |instance| instance.deleted))
        .bind(column(instances, |instance| instance.undone))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    ensure_all(rows.len(), instances.len())?;
    rows.iter()
        .map(|row| {
            Ok(Stamp {
                updated: get(row, 0)?,
                now: get(row, 1)?,
            })
        })
        .collect()
}

async fn replace(
    connection: &mut PgConnection,
    gone: &[Place],
    rows: &[NewRow<'_>],
) -> Result<Vec<i64>, RecordError> {
    if !gone.is_empty() {
        let removed = sqlx::query(sql::RECORD_REMOVE)
            .bind(column(gone, |place| place.id))
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        let removed = usize::try_from(removed.rows_affected()).unwrap_or(usize::MAX);
        ensure_all(removed, gone.len())?;
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let written = sqlx::query(sql::RECORD_REPLACE)
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.entry.message_id))
        .bind(column(rows, |row| slot_number(row.entry.slot())))
        .bind(column(rows, |row| row.entry.cqrs_id.as_str()))
        .bind(column(rows, |row| row.entry.instance_pk.as_str()))
        .bind(column(rows, |row| row.entry.signal.as_str()))
        .bind(column(rows, |row| row.entry.queue()))
        .bind(column(rows, |row| row.revision.0))
        .bind(column(rows, |row| row.body.as_bytes()))
        .bind(column(rows, |row| row.entry.traceparent()))
        .bind(column(rows, |row| row.entry.forced()))
        .bind(column(rows, |row| row.expires_at))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    ensure_all(written.len(), rows.len())?;
    written
        .iter()
        .map(|row| get(row, 0).map_err(Into::into))
        .collect()
}

fn ensure_transaction(connection: &PgConnection) -> Result<(), RecordError> {
    if connection.is_in_transaction() {
        Ok(())
    } else {
        Err(RecordError::NotInTransaction)
    }
}

/// Rows that this transaction has written and holds cannot be missing, unless by the caller's hand.
fn ensure_all(found: usize, wanted: usize) -> Result<(), RecordError> {
    if found == wanted {
        return Ok(());
    }
    let problem = format!("{found} of {wanted} rows of this transaction are still there");
    Err(StoreError::Backend(problem.into()).into())
}

/// One array for `unnest`.
fn column<'e, T, V>(rows: &'e [T], value: impl Fn(&'e T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

fn earlier(row: &PgRow) -> Result<Earlier, RecordError> {
    let table = Table::OUTBOX;
    Ok(Earlier {
        place: Place {
            id: get(row, 0)?,
            message_id: get(row, 1)?,
        },
        cqrs_id: get(row, 2)?,
        instance_pk: get(row, 3)?,
        revision: Revision(get(row, 4)?),
        signal: table.signal(get(row, 5)?)?,
        queue: table.queue(get(row, 6)?)?,
        body: get(row, 7)?,
        trace: Table::trace(get(row, 8)?),
        forced: get(row, 9)?,
        expires_at: get(row, 10)?,
        began: get(row, 11)?,
    })
}

fn failed(error: sqlx::Error) -> RecordError {
    classify(error).into()
}
