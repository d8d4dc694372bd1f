//! Letters.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use cqrs_core::{CqrsId, QueueName, StoreError, database::sqlite::classify, transport::Headers};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    error::run,
    sql,
    stored::{optional_time, optional_uuid, time},
};
use crate::{
    Incoming, Letter, LetterFilter, LetterGroup, LetterState,
    letter::{NewLetter, OtherLetter, Reason, TakenLetter, Verdict, storable},
};

/// The letters of rows with the columns of `take_*.sql`.
pub(super) fn taken(rows: &[SqliteRow]) -> Result<Vec<TakenLetter>, StoreError> {
    rows.iter().map(|row| take(row).map_err(classify)).collect()
}

fn take(row: &SqliteRow) -> Result<TakenLetter, sqlx::Error> {
    let trace: Option<&str> = row.try_get(9)?;
    let headers = Headers {
        trace: trace.and_then(|text| text.parse().ok()),
        counted: row.try_get(10)?,
        forced: row.try_get(11)?,
    };
    let body: Vec<u8> = row.try_get(8)?;
    Ok(TakenLetter {
        id: row.try_get(0)?,
        state: LetterState::parse(row.try_get(1)?),
        reason: Reason::parse(row.try_get(2)?),
        attempts: row.try_get(3)?,
        created_at: time(row, 4)?,
        due_at: time(row, 5)?,
        waits_for: row.try_get(12)?,
        waits_until: optional_time(row, 13)?,
        incoming: Incoming::restored(
            optional_uuid(row, 6)?,
            row.try_get(7)?,
            Bytes::from(body),
            headers,
        ),
    })
}

/// A row of `others.sql`.
pub(super) fn other(row: &SqliteRow) -> Result<(Option<usize>, OtherLetter), sqlx::Error> {
    let place: Option<i64> = row.try_get(0)?;
    let body: Option<Vec<u8>> = row.try_get(7)?;
    let letter = OtherLetter {
        id: row.try_get(1)?,
        state: LetterState::parse(row.try_get(2)?),
        reason: Reason::parse(row.try_get(3)?),
        attempts: row.try_get(4)?,
        message_id: optional_uuid(row, 5)?,
        revision: row.try_get(6)?,
        body: body.map(Bytes::from),
    };
    Ok((place.and_then(|place| usize::try_from(place).ok()), letter))
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    letters: &[NewLetter<'_>],
) -> Result<(), StoreError> {
    for letter in letters {
        let NewLetter {
            incoming, verdict, ..
        } = letter;
        let insert = sqlx::query(sql::INSERT_LETTERS)
            .bind(queue.as_str())
            .bind(verdict.state.as_str())
            .bind(verdict.reason.as_str())
            .bind(verdict.error.as_deref())
            .bind(verdict.fingerprint.as_deref())
            .bind(verdict.attempts)
            .bind(verdict.next_attempt_at.map(|time| time.timestamp_micros()))
            .bind(incoming.message_id.map(|id| id.hyphenated().to_string()))
            .bind(storable(&incoming.routing_key))
            .bind(&incoming.body[..])
            .bind(
                incoming
                    .headers
                    .trace
                    .as_ref()
                    .map(|trace| trace.as_str().to_owned()),
            )
            .bind(incoming.headers.counted)
            .bind(letter.cqrs_id.as_deref())
            .bind(letter.instance_pk.as_deref())
            .bind(letter.signal)
            .bind(letter.revision)
            .bind(incoming.headers.forced)
            .bind(verdict.waits_for.as_deref())
            .bind(verdict.waits_until.map(|time| time.timestamp_micros()));
        run(limit, insert.execute(&mut *connection)).await?;
    }
    Ok(())
}

pub(super) async fn change(
    connection: &mut SqliteConnection,
    limit: Duration,
    changes: &[(i64, &Verdict)],
) -> Result<(), StoreError> {
    for (id, verdict) in changes {
        let change = sqlx::query(sql::CHANGE_LETTERS)
            .bind(*id)
            .bind(verdict.state.as_str())
            .bind(verdict.reason.as_str())
            .bind(verdict.error.as_deref())
            .bind(verdict.fingerprint.as_deref())
            .bind(verdict.attempts)
            .bind(verdict.next_attempt_at.map(|time| time.timestamp_micros()))
            .bind(verdict.waits_for.as_deref())
            .bind(verdict.waits_until.map(|time| time.timestamp_micros()));
        run(limit, change.execute(&mut *connection)).await?;
    }
    Ok(())
}

/// The oldest and the latest letter that waits for a paused model.
pub(super) async fn held(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    cqrs_id: &CqrsId,
) -> Result<Option<(i64, i64)>, StoreError> {
    let held = sqlx::query_as(sql::HELD)
        .bind(queue.as_str())
        .bind(cqrs_id.as_str());
    let (oldest, latest): (Option<i64>, Option<i64>) =
        run(limit, held.fetch_one(connection)).await?;
    Ok(oldest.zip(latest))
}

pub(super) async fn next_due(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
) -> Result<Option<TimeDelta>, StoreError> {
    let next = sqlx::query_scalar(sql::NEXT_DUE).bind(queue.as_str());
    let micros: Option<i64> = run(limit, next.fetch_one(connection)).await?;
    Ok(micros.map(TimeDelta::microseconds))
}

/// Letters in order, from behind one.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    filter: &LetterFilter,
    (after, rows): (i64, usize),
) -> Result<Vec<Letter>, StoreError> {
    let page = sqlx::query(sql::LETTERS_PAGE)
        .bind(queue.as_str())
        .bind(after)
        .bind(filter.state.map(LetterState::as_str))
        .bind(filter.cqrs_id.as_deref())
        .bind(filter.reason.as_deref())
        .bind(filter.fingerprint.as_deref())
        .bind(i64::try_from(rows).unwrap_or(i64::MAX));
    let rows = run(limit, page.fetch_all(connection)).await?;
    rows.iter()
        .map(|row| letter(row).map_err(classify))
        .collect()
}

/// Letters that failed in the same way, the largest group first.
pub(super) async fn groups(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    filter: &LetterFilter,
    ids: Option<&[i64]>,
) -> Result<Vec<LetterGroup>, StoreError> {
    let groups = sqlx::query(sql::LETTER_GROUPS)
        .bind(queue.as_str())
        .bind(filter.state.map(LetterState::as_str))
        .bind(filter.cqrs_id.as_deref())
        .bind(filter.reason.as_deref())
        .bind(filter.fingerprint.as_deref())
        .bind(ids.map(list_of));
    let rows = run(limit, groups.fetch_all(connection)).await?;
    rows.iter()
        .map(|row| group(row).map_err(classify))
        .collect()
}

fn group(row: &SqliteRow) -> Result<LetterGroup, sqlx::Error> {
    let count = |column| row.try_get(column).map(|count: i64| count.unsigned_abs());
    Ok(LetterGroup {
        state: LetterState::parse(row.try_get(0)?),
        reason: row.try_get(1)?,
        cqrs_id: row.try_get(2)?,
        fingerprint: row.try_get(3)?,
        error: row.try_get(4)?,
        count: count(5)?,
        untried: count(6)?,
        first_at: time(row, 7)?,
        last_at: time(row, 8)?,
    })
}

pub(super) async fn purge(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    ids: &[i64],
) -> Result<u64, StoreError> {
    let purge = sqlx::query(sql::PURGE_LETTERS)
        .bind(queue.as_str())
        .bind(list_of(ids));
    Ok(run(limit, purge.execute(connection)).await?.rows_affected())
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    id: Option<i64>,
    state: Option<LetterState>,
    rows: usize,
) -> Result<Vec<Letter>, StoreError> {
    let list = sqlx::query(sql::LETTERS)
        .bind(queue.as_str())
        .bind(id)
        .bind(state.map(LetterState::as_str))
        .bind(i64::try_from(rows).unwrap_or(i64::MAX));
    let rows = run(limit, list.fetch_all(connection)).await?;
    rows.iter()
        .map(|row| letter(row).map_err(classify))
        .collect()
}

fn letter(row: &SqliteRow) -> Result<Letter, sqlx::Error> {
    let body: Vec<u8> = row.try_get(11)?;
    Ok(Letter {
        id: row.try_get(0)?,
        state: LetterState::parse(row.try_get(1)?),
        reason: row.try_get(2)?,
        error: row.try_get(3)?,
        fingerprint: row.try_get(4)?,
        attempts: row.try_get(5)?,
        next_attempt_at: optional_time(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
        message_id: optional_uuid(row, 9)?,
        routing_key: row.try_get(10)?,
        body: Bytes::from(body),
        cqrs_id: row.try_get(12)?,
        instance_pk: row.try_get(13)?,
        signal: row.try_get(14)?,
        revision: row.try_get(15)?,
        waits_for: row.try_get(16)?,
        published_at: optional_time(row, 17)?,
    })
}

pub(super) async fn retry(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    ids: Option<&[i64]>,
) -> Result<u64, StoreError> {
    let retry = sqlx::query(sql::RETRY_LETTERS)
        .bind(queue.as_str())
        .bind(ids.map(list_of));
    Ok(run(limit, retry.execute(connection)).await?.rows_affected())
}

pub(super) async fn discard(
    connection: &mut SqliteConnection,
    limit: Duration,
    queue: &QueueName,
    ids: Option<&[i64]>,
) -> Result<u64, StoreError> {
    let discard = sqlx::query(sql::DISCARD_LETTERS)
        .bind(queue.as_str())
        .bind(ids.map(list_of));
    Ok(run(limit, discard.execute(connection))
        .await?
        .rows_affected())
}

/// Numbers as a JSON array, which takes the place of arrays here.
pub(super) fn list_of(ids: &[i64]) -> String {
    serde_json::to_string(ids).expect("numbers always serialise")
}
