//! What a consumer does with its queue: look, claim, acknowledge.

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    connection::Connection,
    error::{Fault, classify},
    sql,
};
use crate::{
    QueueName,
    transport::{Delivery, DeliveryTag, Headers, TransportError},
};

/// A queue and one consumer of it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) queue: i64,
    pub(super) consumer: i64,
    pub(super) name: QueueName,
}

/// A claimed message, before it has a tag.
pub(super) struct Claimed {
    pub(super) message: i64,
    pub(super) delivery: Delivery,
}

impl Seat {
    /// Whether a message is free, without taking the write lock.
    pub(super) async fn look(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<bool, TransportError> {
        let row = sqlx::query(sql::LOOK)
            .bind(self.queue)
            .bind(self.consumer)
            .fetch_one(connection)
            .await
            .map_err(classify)?;
        if !row.try_get::<bool, _>(0).map_err(classify)? {
            return Err(TransportError::QueueGone {
                queue: self.name.clone(),
            });
        }
        if !row.try_get::<bool, _>(1).map_err(classify)? {
            return Err(Fault::LeaseLost.into());
        }
        row.try_get(2).map_err(classify)
    }

    /// Takes up to `limit` free messages, the oldest first.
    pub(super) async fn claim(
        &self,
        connection: &mut Connection,
        limit: usize,
    ) -> Result<Vec<Claimed>, TransportError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut tx = connection.begin().await?;
        let rows = sqlx::query(sql::NEXT_MESSAGES)
            .bind(self.queue)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(classify)?;
        let claimed = rows
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()
            .map_err(classify)?;
        let Some(last) = claimed.last() else {
            return Ok(claimed);
        };
        let held = sqlx::query(sql::CLAIM)
            .bind(self.queue)
            .bind(last.message)
            .bind(self.consumer)
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
        if held.rows_affected() != claimed.len() as u64 {
            return Err(Fault::LeaseLost.into());
        }
        tx.commit().await.map_err(classify)?;
        Ok(claimed)
    }

    /// Removes messages for good. All of them are still held, or nothing is done.
    pub(super) async fn acknowledge(
        &self,
        connection: &mut Connection,
        messages: &[i64],
    ) -> Result<(), TransportError> {
        let list = format!("{messages:?}");
        let mut tx = connection.begin().await?;
        let removed = sqlx::query(sql::ACKNOWLEDGE)
            .bind(self.queue)
            .bind(self.consumer)
            .bind(list.as_str())
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
        if removed.rows_affected() != messages.len() as u64 {
            return Err(Fault::LeaseLost.into());
        }
        sqlx::query(sql::FORGET)
            .bind(list)
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
        tx.commit().await.map_err(classify)
    }
}

/// Text as bytes: anyone may write the file, and SQLite does not check that text is UTF-8.
fn read(row: &SqliteRow) -> Result<Claimed, sqlx::Error> {
    let trace = row.try_get::<Option<Vec<u8>>, _>(3)?;
    Ok(Claimed {
        message: row.try_get(0)?,
        delivery: Delivery {
            tag: DeliveryTag(0),
            message_id: Uuid::try_parse_ascii(row.try_get(1)?).ok(),
            routing_key: String::from_utf8_lossy(row.try_get(2)?).into_owned(),
            headers: Headers {
                trace: trace.and_then(|trace| std::str::from_utf8(&trace).ok()?.parse().ok()),
                counted: row.try_get(4)?,
                forced: row.try_get(5)?,
            },
            body: row.try_get::<Vec<u8>, _>(6)?.into(),
            redelivered: row.try_get(7)?,
        },
    })
}
