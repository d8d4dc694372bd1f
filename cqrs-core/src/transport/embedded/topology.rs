//! Exchange, queues and bindings: those of django-cqrs, as rows.

use sqlx::SqliteConnection;

use super::{
    connection::Connection,
    error::{Fault, classify},
    sql,
};
use crate::{
    CqrsId, QueueName,
    transport::{Routing, Subscription, TransportError},
};

/// Declares an exchange and answers with its id.
pub(super) async fn declare_exchange(
    connection: &mut Connection,
    exchange: &str,
) -> Result<i64, TransportError> {
    // Mostly it is there, and looking needs no lock.
    if let Some(id) = find(connection, sql::FIND_EXCHANGE, exchange).await? {
        return Ok(id);
    }
    let mut tx = connection.begin().await?;
    sqlx::query(sql::DECLARE_EXCHANGE)
        .bind(exchange)
        .execute(&mut *tx)
        .await
        .map_err(classify)?;
    let id = find(&mut tx, sql::FIND_EXCHANGE, exchange).await?;
    tx.commit().await.map_err(classify)?;
    id.ok_or(Fault::Spent.into())
}

/// Declares both queues and the bindings of each model, inside the caller's transaction, and answers
/// with the id of the queue.
pub(super) async fn declare_queues(
    connection: &mut SqliteConnection,
    exchange: i64,
    subscription: &Subscription,
) -> Result<i64, TransportError> {
    let queue = &subscription.queue;
    let queue_id = declare_queue(connection, queue).await?;
    let dead = match &subscription.dead_letter_queue {
        Some(dead) => Some((dead, declare_queue(connection, dead).await?)),
        None => None,
    };
    for cqrs_id in &subscription.cqrs_ids {
        for routing in Routing::both(queue, cqrs_id) {
            bind(connection, exchange, queue_id, &routing).await?;
        }
        if let Some((dead, dead_id)) = dead {
            let direct = Routing::Direct {
                queue: dead.clone(),
                cqrs_id: cqrs_id.clone(),
            };
            bind(connection, exchange, dead_id, &direct).await?;
        }
    }
    Ok(queue_id)
}

/// Removes the bindings of a model.
pub(super) async fn unbind(
    connection: &mut Connection,
    exchange: &str,
    queue: &QueueName,
    cqrs_id: &CqrsId,
) -> Result<(), TransportError> {
    let queue_id = find_queue(connection, queue).await?;
    let queue_id = queue_id.ok_or_else(|| TransportError::QueueGone {
        queue: queue.clone(),
    })?;
    let mut tx = connection.begin().await?;
    for routing in Routing::both(queue, cqrs_id) {
        sqlx::query(sql::UNBIND_QUEUE)
            .bind(exchange)
            .bind(routing.key())
            .bind(queue_id)
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
    }
    tx.commit().await.map_err(classify)
}

/// Declares a temporary queue and its bindings, inside the caller's transaction, and answers with its
/// id. Those that nobody receives from any more go.
pub(super) async fn declare_temporary(
    connection: &mut SqliteConnection,
    exchange: i64,
    queue: &QueueName,
    keys: &[CqrsId],
) -> Result<i64, TransportError> {
    sweep_temporary(connection).await?;
    let queue_id = declare_queue(connection, queue).await?;
    for key in keys {
        let routing = Routing::Broadcast(key.clone());
        bind(connection, exchange, queue_id, &routing).await?;
    }
    Ok(queue_id)
}

/// Deletes temporary queues that nobody receives from.
pub(super) async fn sweep_temporary(
    connection: &mut SqliteConnection,
) -> Result<(), TransportError> {
    sqlx::query(sql::SWEEP_TEMPORARY)
        .execute(connection)
        .await
        .map(drop)
        .map_err(classify)
}

/// The id of a queue, if it exists.
pub(super) async fn find_queue(
    connection: &mut SqliteConnection,
    queue: &QueueName,
) -> Result<Option<i64>, TransportError> {
    find(connection, sql::FIND_QUEUE, queue.as_str()).await
}

async fn declare_queue(
    connection: &mut SqliteConnection,
    queue: &QueueName,
) -> Result<i64, TransportError> {
    sqlx::query(sql::DECLARE_QUEUE)
        .bind(queue.as_str())
        .execute(&mut *connection)
        .await
        .map_err(classify)?;
    find_queue(connection, queue)
        .await?
        .ok_or(Fault::Spent.into())
}

async fn bind(
    connection: &mut SqliteConnection,
    exchange: i64,
    queue: i64,
    routing: &Routing,
) -> Result<(), TransportError> {
    sqlx::query(sql::BIND_QUEUE)
        .bind(exchange)
        .bind(routing.key())
        .bind(queue)
        .execute(connection)
        .await
        .map(drop)
        .map_err(classify)
}

async fn find(
    connection: &mut SqliteConnection,
    statement: &'static str,
    name: &str,
) -> Result<Option<i64>, TransportError> {
    sqlx::query_scalar(statement)
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(classify)
}
