//! The sending end: a batch is a transaction.

use std::{collections::HashMap, sync::Arc};

use super::{
    Shared,
    connection::Connection,
    error::{Fault, classify},
    sql, topology,
};
use crate::{
    TraceContext,
    transport::{Headers, Message, Outcome, PublishError, Publisher, TransportError},
};

/// Sends to an embedded broker: see [`Publisher`].
#[derive(Debug)]
pub struct EmbeddedPublisher {
    shared: Arc<Shared>,
    connection: Connection,
    exchange: i64,
    /// Set while a call is under way: a cancelled one may leave a transaction behind.
    spent: bool,
}

impl EmbeddedPublisher {
    pub(super) async fn open(shared: Arc<Shared>) -> Result<Self, TransportError> {
        let mut connection = Connection::open(&shared.config).await?;
        let exchange = topology::declare_exchange(&mut connection, &shared.config.exchange).await?;
        Ok(Self {
            shared,
            connection,
            exchange,
            spent: false,
        })
    }

    /// On an error nothing of the batch is stored, and the connection must not be used again:
    /// `SQLite` ends a transaction by itself when the disk is full, and each later statement would
    /// be a transaction of its own.
    async fn store(&mut self, messages: &[Message]) -> Result<Vec<Outcome>, TransportError> {
        let mut tx = self.connection.begin().await?;
        let mut bound = HashMap::new();
        let mut first = None;
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            let is_bound = if let Some(&known) = bound.get(&message.routing) {
                known
            } else {
                let is_bound: bool = sqlx::query_scalar(sql::IS_BOUND)
                    .bind(self.exchange)
                    .bind(message.routing.key())
                    .fetch_one(&mut *tx)
                    .await
                    .map_err(classify)?;
                bound.insert(&message.routing, is_bound);
                is_bound
            };
            if !is_bound {
                outcomes.push(Outcome::Unroutable);
                continue;
            }
            let Headers {
                trace,
                counted,
                forced,
            } = &message.headers;
            let stored = sqlx::query(sql::INSERT_MESSAGE)
                .bind(message.message_id.to_string())
                .bind(message.routing.key())
                .bind(message.timestamp.to_rfc3339())
                .bind(trace.as_ref().map(TraceContext::as_str))
                .bind(counted)
                .bind(forced)
                .bind(message.body.as_ref())
                .execute(&mut *tx)
                .await
                .map_err(classify)?;
            first.get_or_insert(stored.last_insert_rowid());
            outcomes.push(Outcome::Confirmed);
        }
        if first.is_some() {
            sqlx::query(sql::ENQUEUE)
                .bind(self.exchange)
                .bind(first)
                .execute(&mut *tx)
                .await
                .map_err(classify)?;
        }
        tx.commit().await.map_err(classify)?;
        Ok(outcomes)
    }
}

impl Publisher for EmbeddedPublisher {
    async fn publish(&mut self, messages: &[Message]) -> Result<Vec<Outcome>, PublishError> {
        if std::mem::replace(&mut self.spent, true) {
            return Err(TransportError::from(Fault::Spent).into());
        }
        let shared = Arc::clone(&self.shared);
        let turn = shared.writer.lock().await;
        let outcomes = self.store(messages).await?;
        drop(turn);
        shared
            .published
            .send_modify(|count| *count = count.wrapping_add(1));
        self.spent = false;
        Ok(outcomes)
    }

    async fn close(self) {
        self.connection.close().await;
    }
}
