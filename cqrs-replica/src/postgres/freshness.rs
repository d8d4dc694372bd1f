//! How far instances are, asked by way of the service's own pool.

use cqrs_core::{CqrsId, QueueName, database::postgres::classify};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{error::run, sql};
use crate::{
    LetterState,
    freshness::{Answer, Database, Freshness, HoldingLetter, InstanceId, LOOK_LIMIT, MissingEvent},
};

impl Freshness {
    /// Of a replica in the `PostgreSQL` database of this pool: the worker's database, or a standby of it if
    /// that is what the service reads from. `queue` is the worker's, and `kept` are the models it applies
    /// ([`Models::cqrs_ids`](crate::Models::cqrs_ids)).
    #[must_use]
    pub fn postgres(
        pool: PgPool,
        queue: QueueName,
        kept: impl IntoIterator<Item = CqrsId>,
    ) -> Self {
        Self::new(Pool(pool), queue, kept)
    }
}

struct Pool(PgPool);

impl Database for Pool {
    fn revisions<'a>(
        &'a self,
        queue: &'a QueueName,
        instances: &'a [&'a InstanceId],
    ) -> Answer<'a, Option<i64>> {
        let ids: Vec<&str> = instances
            .iter()
            .map(|(cqrs_id, _)| cqrs_id.as_str())
            .collect();
        let keys: Vec<&str> = instances.iter().map(|(_, key)| key.as_str()).collect();
        let revisions = sqlx::query_scalar(sql::APPLIED_REVISIONS)
            .bind(queue.as_str())
            .bind(ids)
            .bind(keys);
        Box::pin(run(LOOK_LIMIT, revisions.fetch_all(&self.0)))
    }

    fn letters<'a>(
        &'a self,
        queue: &'a QueueName,
        events: &'a [MissingEvent],
    ) -> Answer<'a, (i64, HoldingLetter)> {
        let ids: Vec<&str> = events.iter().map(|event| event.cqrs_id.as_str()).collect();
        let keys: Vec<&str> = events.iter().map(|event| &*event.instance_pk).collect();
        let revisions: Vec<i64> = events.iter().map(|event| event.revision.0).collect();
        let letters = sqlx::query(sql::LETTERS_HOLDING)
            .bind(queue.as_str())
            .bind(ids)
            .bind(keys)
            .bind(revisions);
        Box::pin(async move {
            let rows = run(LOOK_LIMIT, letters.fetch_all(&self.0)).await?;
            rows.iter()
                .map(|row| letter(row).map_err(classify))
                .collect()
        })
    }
}

fn letter(row: &PgRow) -> Result<(i64, HoldingLetter), sqlx::Error> {
    let letter = HoldingLetter {
        id: row.try_get(1)?,
        state: LetterState::parse(row.try_get(2)?),
        reason: row.try_get(3)?,
    };
    Ok((row.try_get(0)?, letter))
}
