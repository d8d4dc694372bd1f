//! How far instances are, asked by way of the service's own pool.

use cqrs_core::{CqrsId, QueueName, database::sqlite::classify};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::{error::run, sql, work::json};
use crate::{
    LetterState,
    freshness::{Answer, Database, Freshness, HoldingLetter, InstanceId, LOOK_LIMIT, MissingEvent},
};

impl Freshness {
    /// Of a replica in the `SQLite` database of this pool, which may be read-only. `queue` is the worker's,
    /// and `kept` are the models it applies ([`Models::cqrs_ids`](crate::Models::cqrs_ids)).
    #[must_use]
    pub fn sqlite(
        pool: SqlitePool,
        queue: QueueName,
        kept: impl IntoIterator<Item = CqrsId>,
    ) -> Self {
        Self::new(Pool(pool), queue, kept)
    }
}

struct Pool(SqlitePool);

impl Database for Pool {
    fn revisions<'a>(
        &'a self,
        queue: &'a QueueName,
        instances: &'a [&'a InstanceId],
    ) -> Answer<'a, Option<i64>> {
        let instances: Vec<(&str, &str)> = instances
            .iter()
            .map(|(cqrs_id, key)| (cqrs_id.as_str(), key.as_str()))
            .collect();
        let revisions = sqlx::query_scalar(sql::APPLIED_REVISIONS)
            .bind(queue.as_str())
            .bind(json(&instances));
        Box::pin(run(LOOK_LIMIT, revisions.fetch_all(&self.0)))
    }

    fn letters<'a>(
        &'a self,
        queue: &'a QueueName,
        events: &'a [MissingEvent],
    ) -> Answer<'a, (i64, HoldingLetter)> {
        let events: Vec<(&str, &str, i64)> = events
            .iter()
            .map(|event| {
                (
                    event.cqrs_id.as_str(),
                    &*event.instance_pk,
                    event.revision.0,
                )
            })
            .collect();
        let letters = sqlx::query(sql::LETTERS_HOLDING)
            .bind(queue.as_str())
            .bind(json(&events));
        Box::pin(async move {
            let rows = run(LOOK_LIMIT, letters.fetch_all(&self.0)).await?;
            rows.iter()
                .map(|row| letter(row).map_err(classify))
                .collect()
        })
    }
}

fn letter(row: &SqliteRow) -> Result<(i64, HoldingLetter), sqlx::Error> {
    let letter = HoldingLetter {
        id: row.try_get(1)?,
        state: LetterState::parse(row.try_get(2)?),
        reason: row.try_get(3)?,
    };
    Ok((row.try_get(0)?, letter))
}
