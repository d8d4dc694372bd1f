//! Rows that will not be tried again by themselves.

use cqrs_core::{StoreError, database::sqlite::classify};
use sqlx::SqliteConnection;

use super::{
    SqliteSession,
    rows::{dead_row, get, id_array, limit},
    sql,
};
use crate::{
    DeadRow, Retried,
    store::{DEAD_BATCH, columns::without_expiry},
};

impl SqliteSession {
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
            Some(ids) => {
                self.execute(sqlx::query(sql::DEAD_DISCARD).bind(id_array(ids)))
                    .await
            }
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

    /// Nobody records meanwhile: the order of ids stays the order of revisions.
    async fn retry_batch(&mut self, ids: &[i64], force: bool) -> Result<Retried, StoreError> {
        self.transaction(async |tx| {
            let mut retried = Retried::default();
            for id in ids {
                retried += retry(tx, *id, force).await?;
            }
            Ok(retried)
        })
        .await
    }
}

async fn retry(tx: &mut SqliteConnection, id: i64, force: bool) -> Result<Retried, StoreError> {
    let taken = sqlx::query(sql::DEAD_TAKE)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await;
    let Some(row) = taken.map_err(classify)? else {
        return Ok(Retried::default());
    };
    if get(&row, 0)? && !force {
        sqlx::query(sql::DEAD_SUPERSEDE)
            .bind(id)
            .execute(tx)
            .await
            .map_err(classify)?;
        return Ok(Retried {
            retried: 0,
            superseded: 1,
        });
    }
    // One that is no JSON object stays as it is.
    let body = get::<Option<&[u8]>>(&row, 1)?
        .and_then(|body| without_expiry(String::from_utf8_lossy(body).as_bytes()).ok());
    let back = sqlx::query(sql::DEAD_RETURN).bind(id).bind(body);
    back.execute(&mut *tx).await.map_err(classify)?;
    let gone = sqlx::query(sql::DEAD_DISCARD)
        .bind(id_array(&[id]))
        .execute(tx)
        .await;
    gone.map_err(classify)?;
    Ok(Retried {
        retried: 1,
        superseded: 0,
    })
}
