//! An open transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, Event, InstanceKey, QueueName, StoreError,
    database::postgres::{PostgresConfig, classify},
};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use super::{
    PostgresReplica,
    error::{run, try_run},
    letters,
    limits::Limits,
    room, savepoint, sql,
    tables::{self, TableWriter},
    timeout,
};
use crate::{
    LetterState,
    apply::{Failed, InstanceId, Locked, Span, Work},
    handler::DynHandler,
    letter::{Fault, NewLetter, OtherLetter, TakenLetter, Verdict},
    rules::Known,
    step::WriteTable,
    table::{self, TablePlan, TableWrites},
};

/// A transaction with its limits.
#[derive(Debug)]
pub struct PostgresWork<'c> {
    tx: Transaction<'c, Postgres>,
    limit: Duration,
    /// What the server has been told.
    limits: Limits,
    config: &'c PostgresConfig,
}

impl<'c> PostgresWork<'c> {
    pub(super) const fn new(
        tx: Transaction<'c, Postgres>,
        limit: Duration,
        limits: Limits,
        config: &'c PostgresConfig,
    ) -> Self {
        Self {
            tx,
            limit,
            limits,
            config,
        }
    }
}

impl Work for PostgresWork<'_> {
    type Store = PostgresReplica;
    type Writer = TableWriter;

    async fn take_due(
        &mut self,
        queue: &QueueName,
        ready: &[CqrsId],
        limit: usize,
    ) -> Result<Vec<TakenLetter>, StoreError> {
        let take = sqlx::query(sql::TAKE_DUE)
            .bind(queue.as_str())
            .bind(ready.iter().map(CqrsId::as_str).collect::<Vec<_>>())
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
            let now = run(self.limit, now.fetch_one(&mut *self.tx)).await?;
            return Ok(Locked {
                now,
                known: Vec::new(),
                open_letters: true,
                closed_letters: true,
            });
        }
        let ids: Vec<&str> = instances
            .iter()
            .map(|(cqrs_id, _)| cqrs_id.as_str())
            .collect();
        let keys: Vec<&str> = instances.iter().map(|(_, key)| key.as_str()).collect();
        let lock = sqlx::query(sql::LOCK)
            .bind(queue.as_str())
            .bind(&ids)
            .bind(&keys);
        run(self.limit, lock.execute(&mut *self.tx)).await?;
        let states = sqlx::query(sql::STATES)
            .bind(queue.as_str())
            .bind(&ids)
            .bind(&keys);
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
        let held = sqlx::query_scalar(sql::HELD_SINCE).bind(queue.as_str());
        run(self.limit, held.fetch_one(&mut *self.tx)).await
    }

    async fn others(
        &mut self,
        queue: &QueueName,
        spans: &[Span<'_>],
        messages: &[Uuid],
    ) -> Result<Vec<(Option<usize>, OtherLetter)>, StoreError> {
        let ids: Vec<&str> = spans.iter().map(|span| span.instance.0.as_str()).collect();
        let keys: Vec<&str> = spans.iter().map(|span| span.instance.1.as_str()).collect();
        let others = sqlx::query(sql::OTHERS)
            .bind(queue.as_str())
            .bind(ids)
            .bind(keys)
            .bind(spans.iter().map(|span| span.known).collect::<Vec<_>>())
            .bind(spans.iter().map(|span| span.low).collect::<Vec<_>>())
            .bind(spans.iter().map(|span| span.high).collect::<Vec<_>>())
            .bind(messages);
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
        let nothing = writes.deletes.is_empty() && writes.rows.is_empty();
        let Some(timeout) = writes.timeout.filter(|_| !nothing) else {
            return tables::write(&mut self.tx, self.limit, plan, writes).await;
        };
        timeout::set(&mut self.tx, self.limit, self.limits, timeout).await?;
        let timed = self.writer(Some(timeout));
        timed.write(&mut self.tx, plan, writes).await?;
        timeout::reset(&mut self.tx, self.limit, self.limits).await?;
        Ok(())
    }

    fn writer(&self, timeout: Option<Duration>) -> TableWriter {
        TableWriter {
            limit: timeout.map_or(self.limit, timeout::limit),
            timeout,
        }
    }

    async fn handle(
        &mut self,
        handler: &dyn DynHandler<PostgresReplica>,
        event: &Event,
        timeout: Option<Duration>,
    ) -> Result<Result<(), Fault>, Failed> {
        let patience = savepoint::Patience {
            limit: self.limit,
            limits: self.limits,
            idle: self.config.idle_in_transaction_timeout,
            timeout,
        };
        savepoint::handle(&mut self.tx, patience, handler, event).await
    }

    async fn save(
        &mut self,
        queue: &QueueName,
        states: &[(&InstanceId, &Known)],
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = states
            .iter()
            .map(|((cqrs_id, _), _)| cqrs_id.as_str())
            .collect();
        let keys: Vec<&str> = states.iter().map(|((_, key), _)| key.as_str()).collect();
        let known = || states.iter().map(|(_, known)| known);
        let save = sqlx::query(sql::SAVE)
            .bind(queue.as_str())
            .bind(ids)
            .bind(keys)
            .bind(known().map(|known| known.revision).collect::<Vec<_>>())
            .bind(known().map(|known| known.updated).collect::<Vec<_>>())
            .bind(known().map(|known| known.deleted).collect::<Vec<_>>())
            .bind(known().map(|known| known.counted).collect::<Vec<_>>())
            .bind(
                known()
                    .map(|known| known.sync_id)
                    .collect::<Vec<Option<Uuid>>>(),
            )
            .bind(known().map(|known| known.ended).collect::<Vec<_>>());
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
            .bind(ids)
            .bind(state.as_str());
        run(self.limit, close.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn delete_letters(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let delete = sqlx::query(sql::DELETE_LETTERS).bind(ids);
        run(self.limit, delete.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn wake(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        run(
            self.limit,
            sqlx::query(sql::WAKE).bind(ids).execute(&mut *self.tx),
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
            .bind(arrived)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let woken = run(self.limit, wake.execute(&mut *self.tx)).await?;
        Ok(woken.rows_affected())
    }

    async fn supersede(
        &mut self,
        queue: &QueueName,
        applied: &[(&InstanceId, i64)],
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = applied
            .iter()
            .map(|((cqrs_id, _), _)| cqrs_id.as_str())
            .collect();
        let keys: Vec<&str> = applied.iter().map(|((_, key), _)| key.as_str()).collect();
        let supersede = sqlx::query(sql::SUPERSEDE)
            .bind(queue.as_str())
            .bind(ids)
            .bind(keys)
            .bind(
                applied
                    .iter()
                    .map(|(_, revision)| *revision)
                    .collect::<Vec<_>>(),
            );
        run(self.limit, supersede.execute(&mut *self.tx)).await?;
        Ok(())
    }

    async fn commit(self) -> Result<(), Failed> {
        // Deferred constraints speak up here.
        try_run(self.limit, self.tx.commit()).await
    }
}

/// A row of `states.sql`.
fn known(row: &PgRow, locked: &mut Locked) -> Result<Option<Known>, sqlx::Error> {
    locked.now = row.try_get(5)?;
    locked.open_letters = row.try_get(6)?;
    locked.closed_letters = row.try_get(7)?;
    let revision: Option<i64> = row.try_get(0)?;
    // -1: the row was made to be locked.
    let Some(revision) = revision.filter(|revision| *revision >= 0) else {
        return Ok(None);
    };
    let known = Known {
        revision,
        updated: row.try_get(1)?,
        deleted: row.try_get(2)?,
        counted: row.try_get(3)?,
        sync_id: row.try_get(4)?,
        ended: row.try_get(8)?,
    };
    Ok(Some(known))
}
