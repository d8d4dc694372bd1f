//! Rows that will not be tried again by themselves.

use cqrs_core::{
    StoreError,
    database::{postgres::classify, within},
};
use sqlx::{Connection, PgConnection, postgres::PgRow};

use super::{
    PostgresSession,
    rows::{dead_row, get, limit},
    sql,
};
use crate::{
    DeadRow, Retried,
    store::{DEAD_BATCH, columns::without_expiry},
};

impl PostgresSession {
    pub(super) async fn list_dead(&mut self, rows: usize) -> Result<Vec<DeadRow>, StoreError> {
        let statement = sqlx::query(sql::DEAD_LIST).bind(limit(rows));
        self.rows(statement).await?.iter().map(dead_row).collect()
    }

    pub(super) async fn show_dead(&mut self, id: i64) -> Result<Option<DeadRow>, StoreError> {
        let rows = self.rows(sqlx::query(sql::DEAD_SHOW).bind(id)).await?;
        rows.first().map(dead_row).transpose()
    }

    pub(super) async fn discard_dead(&mut self, ids: Option<&[i64]>) -> Result<u64, StoreError> {
        match ids {
            Some(ids) => self.execute(sqlx::query(sql::DEAD_DISCARD).bind(ids)).await,
            None => self.execute(sqlx::query(sql::DEAD_DISCARD_ALL)).await,
        }
    }

    pub(super) async fn retry_dead(
        &mut self,
        ids: Option<&[i64]>,
        force: bool,
    ) -> Result<Retried, StoreError> {
        let mut total = Retried::default();
        if let Some(ids) = ids {
            let mut ids = ids.to_vec();
            // Batches in id order, so that the order within an instance is kept.
            ids.sort_unstable();
            for batch in ids.chunks(DEAD_BATCH) {
                total += self.retry_batch(batch, force).await?;
            }
            return Ok(total);
        }
        let mut after = i64::MIN;
        loop {
            let page = sqlx::query(sql::DEAD_PAGE)
                .bind(after)
                .bind(limit(DEAD_BATCH));
            let batch = self.rows(page).await?;
            let batch = batch
                .iter()
                .map(|row| get(row, 0))
                .collect::<Result<Vec<i64>, _>>()?;
            let Some(last) = batch.last() else {
                return Ok(total);
            };
            after = *last;
            total += self.retry_batch(&batch, force).await?;
        }
    }

    async fn retry_batch(&mut self, ids: &[i64], force: bool) -> Result<Retried, StoreError> {
        let retried = retry_batch(&mut self.connection, ids, force);
        within(self.patience, classify, async { Ok(retried.await) }).await?
    }
}

async fn retry_batch(
    connection: &mut PgConnection,
    ids: &[i64],
    force: bool,
) -> Result<Retried, StoreError> {
    let mut tx = connection.begin().await.map_err(classify)?;
    sqlx::query(sql::DEAD_LOCK)
        .bind(ids)
        .execute(&mut *tx)
        .await
        .map_err(classify)?;
    let taken = sqlx::query(sql::DEAD_TAKE)
        .bind(ids)
        .fetch_all(&mut *tx)
        .await
        .map_err(classify)?;

    let mut back: (Vec<i64>, Vec<Option<Vec<u8>>>) = Default::default();
    let mut superseded: Vec<i64> = Vec::new();
    for row in &taken {
        let id = get(row, 0)?;
        if get(row, 1)? && !force {
            superseded.push(id);
        } else {
            back.0.push(id);
            back.1.push(timeless_body(row)?);
        }
    }

    let done = sqlx::query(sql::DEAD_RETURN)
        .bind(back.0)
        .bind(back.1)
        .bind(superseded)
        .fetch_one(&mut *tx)
        .await
        .map_err(classify)?;
    let retried = Retried {
        retried: get::<i64>(&done, 0)?.unsigned_abs(),
        superseded: get::<i64>(&done, 1)?.unsigned_abs(),
    };
    tx.commit().await.map_err(classify)?;
    Ok(retried)
}

/// The body without its expiry, if that has passed. One that is no JSON object stays as it is.
fn timeless_body(row: &PgRow) -> Result<Option<Vec<u8>>, StoreError> {
    let body: Option<&[u8]> = get(row, 2)?;
    Ok(body
        .and_then(|body| without_expiry(body).ok())
        .map(String::into_bytes))
}
