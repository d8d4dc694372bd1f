//! Workers, counts, pruning.

use std::time::Duration;

use cqrs_core::{QueueName, StoreError, database::postgres::classify};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{error::run, sql};
use crate::{LetterState, ReplicaStatus, WaitingModel, WorkerBeat, WorkerRow, letter::Reason};

pub(super) async fn beat(
    connection: &mut PgConnection,
    limit: Duration,
    beat: &WorkerBeat,
) -> Result<(), StoreError> {
    let write = sqlx::query(sql::BEAT)
        .bind(beat.worker)
        .bind(beat.queue.as_str())
        .bind(beat.oldest_unacked.map(micros))
        .bind(beat.needs_reconcile);
    run(limit, write.execute(&mut *connection)).await?;
    run(limit, sqlx::query(sql::FORGET_WORKERS).execute(connection)).await?;
    Ok(())
}

pub(super) async fn retire(
    connection: &mut PgConnection,
    limit: Duration,
    worker: Uuid,
) -> Result<(), StoreError> {
    run(
        limit,
        sqlx::query(sql::RETIRE).bind(worker).execute(connection),
    )
    .await?;
    Ok(())
}

pub(super) async fn prune_tombstones(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    older_than: Duration,
    rows: usize,
) -> Result<u64, StoreError> {
    let prune = sqlx::query(sql::PRUNE_TOMBSTONES)
        .bind(queue.as_str())
        .bind(micros(older_than))
        .bind(i64::try_from(rows).unwrap_or(i64::MAX));
    Ok(run(limit, prune.execute(connection)).await?.rows_affected())
}

pub(super) async fn prune_letters(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    state: LetterState,
    older_than: Duration,
    rows: usize,
) -> Result<u64, StoreError> {
    let prune = sqlx::query(sql::PRUNE_LETTERS)
        .bind(queue.as_str())
        .bind(state.as_str())
        .bind(micros(older_than))
        .bind(i64::try_from(rows).unwrap_or(i64::MAX));
    Ok(run(limit, prune.execute(connection)).await?.rows_affected())
}

type WaitingRow = (String, String, i64, Option<String>);

fn waiting_model((cqrs_id, reason, age, error): WaitingRow) -> WaitingModel {
    WaitingModel {
        cqrs_id,
        is_paused: reason == Reason::Paused.as_str(),
        waited: Duration::from_micros(unsigned(age)),
        error,
    }
}

pub(super) async fn status(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
) -> Result<ReplicaStatus, StoreError> {
    let instances = sqlx::query_as(sql::COUNT_STATES).bind(queue.as_str());
    let (live, tombstones): (i64, i64) = run(limit, instances.fetch_one(&mut *connection)).await?;
    let letters = sqlx::query_as(sql::COUNT_LETTERS).bind(queue.as_str());
    let letters: Vec<(String, i64)> = run(limit, letters.fetch_all(&mut *connection)).await?;
    let rows = sqlx::query(sql::WORKERS).bind(queue.as_str());
    let rows = run(limit, rows.fetch_all(&mut *connection)).await?;
    let waiting = sqlx::query_as(sql::WAITING_MODELS).bind(queue.as_str());
    let waiting: Vec<WaitingRow> = run(limit, waiting.fetch_all(connection)).await?;
    let count = |word: &str| {
        letters
            .iter()
            .find(|(state, _)| state == word)
            .map_or(0, |(_, count)| unsigned(*count))
    };
    let mut status = ReplicaStatus {
        live: unsigned(live),
        tombstones: unsigned(tombstones),
        waiting: count("waiting"),
        retrying: count("retrying"),
        dead: count("dead"),
        waiting_models: waiting.into_iter().map(waiting_model).collect(),
        ..ReplicaStatus::default()
    };
    for row in rows {
        let (found, needs_reconcile) = worker(&row).map_err(classify)?;
        status.needs_reconcile |= needs_reconcile;
        status.workers.push(found);
    }
    Ok(status)
}

fn worker(row: &PgRow) -> Result<(WorkerRow, bool), sqlx::Error> {
    let seen: i64 = row.try_get(2)?;
    let oldest_unacked: Option<i64> = row.try_get(3)?;
    let found = WorkerRow {
        worker: row.try_get(0)?,
        started_at: row.try_get(1)?,
        seen: Duration::from_micros(unsigned(seen)),
        oldest_unacked: oldest_unacked.map(|micros| Duration::from_micros(unsigned(micros))),
    };
    Ok((found, row.try_get(4)?))
}

fn micros(duration: Duration) -> i64 {
    // A thousand years are enough for everyone.
    i64::try_from(duration.as_micros())
        .unwrap_or(i64::MAX)
        .min(31_557_600_000_000_000)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
