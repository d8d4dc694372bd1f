//! An open transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs_core::{CqrsId, Event, InstanceKey, QueueName, StoreError, database::sqlite::classify};
use serde::Serialize;
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    SqliteReplica,
    error::{run, try_run},
    letters, room, savepoint, sql,
    stored::{optional_time, optional_uuid, time},
    tables::{self, TableWriter},
};
use crate::{
    LetterState,
    apply::{Failed, InstanceId, Locked, Span, Work},
    handler::DynHandler,
    letter::{Fault, NewLetter, OtherLetter, TakenLetter, Verdict},
    rules::Known,
    table::{self, TablePlan, TableWrites},
};

/// A transaction with its limits.
#[derive(Debug)]
pub struct SqliteWork<'c> {
    tx: Transaction<'c, Sqlite>,
    limit: Duration,
}

impl<'c> SqliteWork<'c> {
    pub(super) const fn new(tx: Transaction<'c, Sqlite>, limit: Duration) -> Self {
        Self { tx, limit }
    }
}

impl Work for SqliteWork<'_> {
    type Store = SqliteReplica;
    type Writer = TableWriter;

    async fn take_due(
        &mut self,
        queue: &QueueName,
        ready: &[CqrsId],
        limit: usize,
    ) -> Result<Vec<TakenLetter>, StoreError> {
        let take = sqlx::query(sql::TAKE_DUE)
            .bind(queue.as_str())
            .bind(json(&ready.iter().map(CqrsId::as_str).collect::<Vec<_>>()))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        letters::taken(&run(self.limit, take.fetch_all(&mut *self.tx)).await?)
    }

    async fn take_one(
        &mut self,
        queue: &QueueName,
        id: i64,
    ) -> Result<Option<TakenLetter>, StoreError> {
        let take = sqlx::query(sql::TAKE_ONE).bind(queue.as_str()).bind(id);
        let rows = run(self.limit, take.fetch_all(&mut *self.tx)).await?;
        Ok(letters::taken(&rows)?.pop())
    }

    async fn take_run(
        &mut self,
        queue: &QueueName,
        (cqrs_id, instance_pk): &InstanceId,
        from: i64,
        limit: usize,
    ) -> Result<Vec<TakenLetter>, StoreError> {
        let take = sqlx::query(sql::TAKE_RUN)
            .bind(queue.as_str())
            .bind(cqrs_id.as_str())
            .bind(instance_pk)
            .bind(from)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        letters::taken(&run(self.limit, take.fetch_all(&mut *self.tx)).await?)
    }

    async fn lock(
        &mut self,
        queue: &QueueName,
        instances: &[InstanceId],
    ) -> Result<Locked, StoreError> {
        if instances.is_empty() {
            let now = sqlx::query_scalar(sql::NOW);
            let now: i64 = run(self.limit, now.fetch_one(&mut *self.tx)).await?;
            let now = DateTime::from_timestamp_micros(now).unwrap_or_default();
            return Ok(Locked {
                now,
                known: Vec::new(),
                open_letters: true,
                closed_letters: true,
            });
        }
        let instances: Vec<(&str, &str)> = instances
            .iter()
            .map(|(cqrs_id, key)| (cqrs_id.as_str(), key.as_str()))
            .collect();
        let states = sqlx::query(sql::STATES)
            .bind(queue.as_str())
            .bind(json(&instances));
        let rows = run(self.limit, states.fetch_all(&mut *self.tx)).await?;
        let mut locked = Locked {
            now: DateTime::UNIX_EPOCH,
            known: Vec::with_capacity(rows.len()),
            open_letters: true,
            closed_letters: true,
        };
        for row in rows {
            let state = known(&row, &mut locked).map_err(classify)?;
            locked.known.push(state);
        }
        Ok(locked)
    }

    async fn held_since(&mut self, queue: &QueueName) -> Result<Option<DateTime<Utc>>, StoreError> {
        let held = sqlx::query(sql::HELD_SINCE).bind(queue.as_str());
        let row = run(self.limit, held.fetch_one(&mut *self.tx)).await?;
        optional_time(&row, 0).map_err(classify)
    }

    async fn others(
        &mut self,
        queue: &QueueName,
        spans: &[Span<'_>],
        messages: &[Uuid],
    ) -> Result<Vec<(Option<usize>, OtherLetter)>, StoreError> {
        let spans: Vec<_> = spans
            .iter()
            .map(|span| {
                let (cqrs_id, key) = span.instance;
                (
                    cqrs_id.as_str(),
                    key.as_str(),
                    span.known,
                    span.low,
                    span.high,
                )
            })
            .collect();
        let others = sqlx::query(sql::OTHERS)
            .bind(queue.as_str())
            .bind(json(&spans))
            .bind(json(messages));
        let rows = run(self.limit, others.fetch_all(&mut *self.tx)).await?;
        rows.iter()
            .map(|row| letters::other(row).map_err(classify))
            .collect()
    }

    async fn make_room(
        &mut self,
        plan: &TablePlan,
        rows: &[table::Row<'_>],
        deletes: &[&InstanceKey],
    ) -> Result<(), Failed> {
        room::make(&mut self.tx, self.limit, plan, rows, deletes).await
    }

    async fn write(&mut self, plan: &TablePlan, writes: &TableWrites<'_>) -> Result<(), Failed> {
        tables::write(&mut self.tx, self.limit, plan, writes).await
    }

    fn writer(&self, _timeout: Option<Duration>) -> TableWriter {
        TableWriter { limit: self.limit }
    }

    async fn handle(
        &mut self,
        handler: &dyn DynHandler<SqliteReplica>,
        event: &Event,
        _timeout: Option<Duration>,
    ) -> Result<Result<(), Fault>, Failed> {
        savepoint::handle(&mut self.tx, self.limit, handler, event).await
    }

    async fn save(
        &mut self,
        queue: &QueueName,
        states: &[(&InstanceId, &Known)],
    ) -> Result<(), StoreError> {
        let states: Vec<_> = states
            .iter()
            .map(|((cqrs_id, key), known)| {
                let updated = known.updated.timestamp_micros();
                let (deleted, counted) = (u8::from(known.deleted), u8::from(known.counted));
                let cqrs_id = cqrs_id.as_str();
                (
                    cqrs_id,
                    key,
                    known.revision,
                    updated,
                    deleted,
                    counted,
                    known.sync_id,
                    known.ended.map(|ended| ended.timestamp_micros()),
                )
            })
            .collect();
        let save = sqlx::query(sql::SAVE)
            .bind(queue.as_str())
            .bind(json(&states));
        run(self.limit, save.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn insert_letters(
        &mut self,
        queue: &QueueName,
        letters: &[NewLetter<'_>],
    ) -> Result<(), StoreError> {
        letters::insert(&mut self.tx, self.limit, queue, letters).await
    }

    async fn change_letters(&mut self, changes: &[(i64, &Verdict)]) -> Result<(), StoreError> {
        letters::change(&mut self.tx, self.limit, changes).await
    }

    async fn close_letters(&mut self, ids: &[i64], state: LetterState) -> Result<(), StoreError> {
        let close = sqlx::query(sql::CLOSE_LETTERS)
            .bind(json(ids))
            .bind(state.as_str());
        run(self.limit, close.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn delete_letters(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let delete = sqlx::query(sql::DELETE_LETTERS).bind(json(ids));
        run(self.limit, delete.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn wake(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        run(
            self.limit,
            sqlx::query(sql::WAKE)
                .bind(json(ids))
                .execute(&mut *self.tx),
        )
        .await?;
        Ok(())
    }

    async fn wake_referring(
        &mut self,
        queue: &QueueName,
        arrived: &[String],
        limit: usize,
    ) -> Result<u64, StoreError> {
        let wake = sqlx::query(sql::WAKE_REFERRING)
            .bind(queue.as_str())
            .bind(json(arrived))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let woken = run(self.limit, wake.execute(&mut *self.tx)).await?;
        Ok(woken.rows_affected())
    }

    async fn supersede(
        &mut self,
        queue: &QueueName,
        applied: &[(&InstanceId, i64)],
    ) -> Result<(), StoreError> {
        let applied: Vec<_> = applied
            .iter()
            .map(|((cqrs_id, key), revision)| (cqrs_id.as_str(), key, revision))
            .collect();
        let supersede = sqlx::query(sql::SUPERSEDE)
            .bind(queue.as_str())
            .bind(json(&applied));
        run(self.limit, supersede.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn commit(self) -> Result<(), Failed> {
        // Deferred constraints speak up here.
        try_run(self.limit, self.tx.commit()).await
    }
}

/// A list as a JSON array, which takes the place of arrays here.
pub(super) fn json<T: Serialize + ?Sized>(list: &T) -> String {
    serde_json::to_string(list).expect("numbers and strings always serialise")
}

/// A row of `states.sql`.
fn known(row: &SqliteRow, locked: &mut Locked) -> Result<Option<Known>, sqlx::Error> {
    locked.now = time(row, 5)?;
    locked.open_letters = row.try_get(6)?;
    locked.closed_letters = row.try_get(7)?;
    let revision: Option<i64> = row.try_get(0)?;
    // -1: the row was made to be locked.
    let Some(revision) = revision.filter(|revision| *revision >= 0) else {
        return Ok(None);
    };
    let known = Known {
        revision,
        updated: time(row, 1)?,
        deleted: row.try_get(2)?,
        counted: row.try_get(3)?,
        sync_id: optional_uuid(row, 4)?,
        ended: optional_time(row, 8)?,
    };
    Ok(Some(known))
}
