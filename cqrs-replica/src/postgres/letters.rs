//! Letters.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_core::{CqrsId, QueueName, StoreError, database::postgres::classify, transport::Headers};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{error::run, sql};
use crate::{
    Incoming, Letter, LetterFilter, LetterGroup, LetterState,
    letter::{NewLetter, OtherLetter, Reason, TakenLetter, Verdict, storable},
};

/// The letters of rows with the columns of `take_*.sql`.
pub(super) fn taken(rows: &[PgRow]) -> Result<Vec<TakenLetter>, StoreError> {
    rows.iter().map(|row| take(row).map_err(classify)).collect()
}

fn take(row: &PgRow) -> Result<TakenLetter, sqlx::Error> {
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
        attempts: attempts(row.try_get(3)?),
        created_at: row.try_get(4)?,
        due_at: row.try_get(5)?,
        waits_for: row.try_get(12)?,
        waits_until: row.try_get(13)?,
        incoming: Incoming::restored(row.try_get(6)?, row.try_get(7)?, Bytes::from(body), headers),
    })
}

/// A row of `others.sql`.
pub(super) fn other(row: &PgRow) -> Result<(Option<usize>, OtherLetter), sqlx::Error> {
    let place: Option<i64> = row.try_get(0)?;
    let body: Option<Vec<u8>> = row.try_get(7)?;
    let letter = OtherLetter {
        id: row.try_get(1)?,
        state: LetterState::parse(row.try_get(2)?),
        reason: Reason::parse(row.try_get(3)?),
        attempts: attempts(row.try_get(4)?),
        message_id: row.try_get(5)?,
        revision: row.try_get(6)?,
        body: body.map(Bytes::from),
    };
    // Ordinality counts from 1.
    Ok((
        place.and_then(|place| usize::try_from(place - 1).ok()),
        letter,
    ))
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    letters: &[NewLetter<'_>],
) -> Result<(), StoreError> {
    let all = || letters.iter();
    let verdicts = || letters.iter().map(|letter| letter.verdict);
    let trace = |letter: &NewLetter<'_>| {
        letter
            .incoming
            .headers
            .trace
            .as_ref()
            .map(|trace| trace.as_str().to_owned())
    };
    let insert = sqlx::query(sql::INSERT_LETTERS)
        .bind(queue.as_str())
        .bind(
            verdicts()
                .map(|verdict| verdict.state.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.reason.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.error.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.fingerprint.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| integer(verdict.attempts))
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.next_attempt_at)
                .collect::<Vec<_>>(),
        )
        .bind(
            all()
                .map(|letter| letter.incoming.message_id)
                .collect::<Vec<Option<Uuid>>>(),
        )
        .bind(
            all()
                .map(|letter| storable(&letter.incoming.routing_key))
                .collect::<Vec<_>>(),
        )
        .bind(
            all()
                .map(|letter| &letter.incoming.body[..])
                .collect::<Vec<&[u8]>>(),
        )
        .bind(all().map(trace).collect::<Vec<_>>())
        .bind(
            all()
                .map(|letter| letter.incoming.headers.counted)
                .collect::<Vec<_>>(),
        )
        .bind(
            all()
                .map(|letter| letter.cqrs_id.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            all()
                .map(|letter| letter.instance_pk.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(all().map(|letter| letter.signal).collect::<Vec<_>>())
        .bind(all().map(|letter| letter.revision).collect::<Vec<_>>())
        .bind(
            all()
                .map(|letter| letter.incoming.headers.forced)
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.waits_for.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.waits_until)
                .collect::<Vec<_>>(),
        );
    run(limit, insert.execute(connection)).await?;
    Ok(())
}

pub(super) async fn change(
    connection: &mut PgConnection,
    limit: Duration,
    changes: &[(i64, &Verdict)],
) -> Result<(), StoreError> {
    let verdicts = || changes.iter().map(|(_, verdict)| verdict);
    let change = sqlx::query(sql::CHANGE_LETTERS)
        .bind(changes.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(
            verdicts()
                .map(|verdict| verdict.state.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.reason.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.error.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.fingerprint.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| integer(verdict.attempts))
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.next_attempt_at)
                .collect::<Vec<Option<DateTime<Utc>>>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.waits_for.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            verdicts()
                .map(|verdict| verdict.waits_until)
                .collect::<Vec<_>>(),
        );
    run(limit, change.execute(connection)).await?;
    Ok(())
}

/// The oldest and the latest letter that waits for a paused model.
pub(super) async fn held(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
) -> Result<Option<TimeDelta>, StoreError> {
    let next = sqlx::query_scalar(sql::NEXT_DUE).bind(queue.as_str());
    let micros: Option<i64> = run(limit, next.fetch_one(connection)).await?;
    Ok(micros.map(TimeDelta::microseconds))
}

/// Letters in order, from behind one.
pub(super) async fn page(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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
        .bind(ids);
    let rows = run(limit, groups.fetch_all(connection)).await?;
    rows.iter()
        .map(|row| group(row).map_err(classify))
        .collect()
}

fn group(row: &PgRow) -> Result<LetterGroup, sqlx::Error> {
    let count = |column| row.try_get(column).map(|count: i64| count.unsigned_abs());
    Ok(LetterGroup {
        state: LetterState::parse(row.try_get(0)?),
        reason: row.try_get(1)?,
        cqrs_id: row.try_get(2)?,
        fingerprint: row.try_get(3)?,
        error: row.try_get(4)?,
        count: count(5)?,
        untried: count(6)?,
        first_at: row.try_get(7)?,
        last_at: row.try_get(8)?,
    })
}

pub(super) async fn purge(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    ids: &[i64],
) -> Result<u64, StoreError> {
    let purge = sqlx::query(sql::PURGE_LETTERS)
        .bind(queue.as_str())
        .bind(ids);
    Ok(run(limit, purge.execute(connection)).await?.rows_affected())
}

pub(super) async fn list(
    connection: &mut PgConnection,
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

fn letter(row: &PgRow) -> Result<Letter, sqlx::Error> {
    let body: Vec<u8> = row.try_get(11)?;
    Ok(Letter {
        id: row.try_get(0)?,
        state: LetterState::parse(row.try_get(1)?),
        reason: row.try_get(2)?,
        error: row.try_get(3)?,
        fingerprint: row.try_get(4)?,
        attempts: attempts(row.try_get(5)?),
        next_attempt_at: row.try_get(6)?,
        created_at: row.try_get(7)?,
        updated_at: row.try_get(8)?,
        message_id: row.try_get(9)?,
        routing_key: row.try_get(10)?,
        body: Bytes::from(body),
        cqrs_id: row.try_get(12)?,
        instance_pk: row.try_get(13)?,
        signal: row.try_get(14)?,
        revision: row.try_get(15)?,
        waits_for: row.try_get(16)?,
        published_at: row.try_get(17)?,
    })
}

pub(super) async fn retry(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    ids: Option<&[i64]>,
) -> Result<u64, StoreError> {
    let retry = sqlx::query(sql::RETRY_LETTERS)
        .bind(queue.as_str())
        .bind(ids);
    Ok(run(limit, retry.execute(connection)).await?.rows_affected())
}

pub(super) async fn discard(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    ids: Option<&[i64]>,
) -> Result<u64, StoreError> {
    let discard = sqlx::query(sql::DISCARD_LETTERS)
        .bind(queue.as_str())
        .bind(ids);
    Ok(run(limit, discard.execute(connection))
        .await?
        .rows_affected())
}

fn attempts(stored: i32) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}

fn integer(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}
