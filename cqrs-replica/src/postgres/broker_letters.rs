//! Letters that go to the broker's queue of dead letters, and that come from it.

use std::time::Duration;

use cqrs_core::{CqrsId, QueueName, StoreError};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{error::run, letters, sql};
use crate::letter::{NewLetter, TakenLetter, storable};

/// Takes dead letters that the broker does not have yet, and holds them.
pub(super) async fn take(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    cqrs_ids: &[CqrsId],
    (hold, rows): (Duration, usize),
) -> Result<Vec<TakenLetter>, StoreError> {
    let take = sqlx::query(sql::TAKE_UNPUBLISHED)
        .bind(queue.as_str())
        .bind(cqrs_ids.iter().map(CqrsId::as_str).collect::<Vec<_>>())
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind(i64::try_from(hold.as_micros()).unwrap_or(i64::MAX));
    letters::taken(&run(limit, take.fetch_all(connection)).await?)
}

/// Remembers that the broker has them, and under which ids.
pub(super) async fn mark(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    published: &[(i64, Uuid)],
) -> Result<(), StoreError> {
    let mark = sqlx::query(sql::MARK_PUBLISHED)
        .bind(queue.as_str())
        .bind(published.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(
            published
                .iter()
                .map(|(_, message)| *message)
                .collect::<Vec<_>>(),
        );
    run(limit, mark.execute(connection)).await?;
    Ok(())
}

/// Writes letters that have not been any before, and answers how many.
pub(super) async fn import(
    connection: &mut PgConnection,
    limit: Duration,
    queue: &QueueName,
    letters: &[NewLetter<'_>],
    retry: bool,
) -> Result<u64, StoreError> {
    let mut tx = run(limit, connection.begin()).await?;
    let mut new = 0;
    for letter in letters {
        // What cannot be read is dead in any case.
        let retry = retry && letter.signal.is_some();
        let (incoming, verdict) = (letter.incoming, letter.verdict);
        let trace = incoming.headers.trace.as_ref();
        let insert = sqlx::query(sql::IMPORT_LETTER)
            .bind(queue.as_str())
            .bind(retry)
            .bind(verdict.error.as_deref())
            .bind(i32::try_from(verdict.attempts).unwrap_or(i32::MAX))
            .bind(incoming.message_id)
            .bind(storable(&incoming.routing_key))
            .bind(&incoming.body[..])
            .bind(trace.map(|trace| trace.as_str().to_owned()))
            .bind(incoming.headers.counted)
            .bind(incoming.headers.forced)
            .bind(letter.cqrs_id.as_deref())
            .bind(letter.instance_pk.as_deref())
            .bind(letter.signal)
            .bind(letter.revision);
        let inserted = run(limit, insert.execute(&mut *tx)).await?.rows_affected();
        new += inserted;
        if inserted == 0 && retry {
            let retry = sqlx::query(sql::RETRY_IMPORTED)
                .bind(queue.as_str())
                .bind(incoming.message_id)
                .bind(letter.cqrs_id.as_deref())
                .bind(letter.instance_pk.as_deref())
                .bind(letter.revision);
            run(limit, retry.execute(&mut *tx)).await?;
        }
    }
    run(limit, tx.commit()).await?;
    Ok(new)
}
