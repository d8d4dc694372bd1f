//! Who is alive: a consumer's own lease, and the leases of its peers.

use std::{collections::HashMap, time::Duration};

use sqlx::{Row, SqliteConnection};
use tokio::time::Instant;

use super::{
    connection::Connection,
    error::{Fault, classify},
    sql,
};
use crate::transport::TransportError;

/// What one consumer knows of the others of its queue.
///
/// A peer is dead when its lease has run out by the wall clock, which is right at once after a start,
/// or when its beat has not changed for a lease by our own monotonic clock, which is right when the
/// wall clock was set back. A clock set forward costs the living a duplicate and a reconnect.
#[derive(Debug)]
pub(super) struct Peers {
    seen: HashMap<i64, (i64, Instant)>,
    lease: Duration,
}

impl Peers {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            seen: HashMap::new(),
            lease,
        }
    }

    /// Gives the messages of dead peers back to the queue. Whether there were any.
    pub(super) async fn bury_dead(
        &mut self,
        connection: &mut Connection,
        queue: i64,
        me: i64,
    ) -> Result<bool, TransportError> {
        let dead = self.dead(connection, queue, me).await?;
        if dead.is_empty() {
            return Ok(false);
        }
        let mut tx = connection.begin().await?;
        for &(id, beat) in &dead {
            let buried = sqlx::query(sql::BURY)
                .bind(id)
                .bind(beat)
                .execute(&mut *tx)
                .await
                .map_err(classify)?;
            if buried.rows_affected() == 1 {
                sqlx::query(sql::RELEASE)
                    .bind(id)
                    .execute(&mut *tx)
                    .await
                    .map_err(classify)?;
            }
        }
        tx.commit().await.map_err(classify)?;
        Ok(true)
    }

    async fn dead(
        &mut self,
        connection: &mut SqliteConnection,
        queue: i64,
        me: i64,
    ) -> Result<Vec<(i64, i64)>, TransportError> {
        let rows = sqlx::query(sql::PEERS)
            .bind(queue)
            .bind(me)
            .fetch_all(connection)
            .await
            .map_err(classify)?;
        let now = Instant::now();
        let mut seen = HashMap::with_capacity(rows.len());
        let mut dead = Vec::new();
        for row in rows {
            let id: i64 = row.try_get(0).map_err(classify)?;
            let beat: i64 = row.try_get(1).map_err(classify)?;
            let expired: bool = row.try_get(2).map_err(classify)?;
            let since = match self.seen.get(&id) {
                Some(&(known, since)) if known == beat => since,
                _ => now,
            };
            if expired || now.duration_since(since) > self.lease {
                dead.push((id, beat));
            }
            seen.insert(id, (beat, since));
        }
        self.seen = seen;
        Ok(dead)
    }
}

/// Becomes a consumer of a queue, inside the caller's transaction.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    queue: i64,
    lease: Duration,
) -> Result<i64, TransportError> {
    let joined = sqlx::query(sql::JOIN_QUEUE)
        .bind(queue)
        .bind(lease.as_secs_f64())
        .execute(connection)
        .await
        .map_err(classify)?;
    Ok(joined.last_insert_rowid())
}

/// Keeps what the consumer holds for another lease.
pub(super) async fn renew(
    connection: &mut Connection,
    me: i64,
    lease: Duration,
) -> Result<(), TransportError> {
    let mut tx = connection.begin().await?;
    let renewed = sqlx::query(sql::RENEW)
        .bind(me)
        .bind(lease.as_secs_f64())
        .execute(&mut *tx)
        .await
        .map_err(classify)?;
    if renewed.rows_affected() != 1 {
        return Err(Fault::LeaseLost.into());
    }
    tx.commit().await.map_err(classify)
}

/// Gives everything back at once.
pub(super) async fn give_up(connection: &mut Connection, me: i64) -> Result<(), TransportError> {
    let mut tx = connection.begin().await?;
    sqlx::query(sql::RELEASE)
        .bind(me)
        .execute(&mut *tx)
        .await
        .map_err(classify)?;
    sqlx::query(sql::LEAVE_QUEUE)
        .bind(me)
        .execute(&mut *tx)
        .await
        .map_err(classify)?;
    tx.commit().await.map_err(classify)
}
