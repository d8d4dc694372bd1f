//! A look into a queue, by a consumer that takes one message at a time.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Shared,
    connection::Connection,
    error::{Fault, classify},
    lease,
    queue::Seat,
    topology,
};
use crate::{
    QueueName,
    transport::{Browser, Delivery, DeliveryTag, TransportError},
};

/// Looks into a queue of an embedded broker: see [`Browser`].
///
/// Dropped rather than closed, it gives back what it holds when its lease runs out.
#[derive(Debug)]
pub struct EmbeddedBrowser {
    shared: Arc<Shared>,
    connection: Connection,
    seat: Seat,
    /// Got and not acknowledged, by tag.
    held: BTreeMap<u64, i64>,
    last_tag: u64,
    /// Set while a call is under way: a cancelled one may leave a transaction behind.
    spent: bool,
}

impl EmbeddedBrowser {
    pub(super) async fn open(
        shared: Arc<Shared>,
        queue: &QueueName,
    ) -> Result<Self, TransportError> {
        let mut connection = Connection::open(&shared.config).await?;
        let found = topology::find_queue(&mut connection, queue).await?;
        let id = found.ok_or_else(|| TransportError::QueueGone {
            queue: queue.clone(),
        })?;
        let length = shared.config.lease;
        let turn = shared.writer.lock().await;
        let mut tx = connection.begin().await?;
        let consumer = lease::take(&mut tx, id, length).await?;
        tx.commit().await.map_err(classify)?;
        // A queue of dead letters has no consumers who would do it.
        lease::Peers::new(length)
            .bury_dead(&mut connection, id, consumer)
            .await?;
        drop(turn);
        Ok(Self {
            shared,
            connection,
            seat: Seat {
                queue: id,
                consumer,
                name: queue.clone(),
            },
            held: BTreeMap::new(),
            last_tag: 0,
            spent: false,
        })
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        if std::mem::replace(&mut self.spent, true) {
            return Err(Fault::Spent.into());
        }
        Ok(())
    }
}

impl Browser for EmbeddedBrowser {
    async fn get(&mut self) -> Result<Option<Delivery>, TransportError> {
        self.begin()?;
        let shared = Arc::clone(&self.shared);
        let _turn = shared.writer.lock().await;
        lease::renew(
            &mut self.connection,
            self.seat.consumer,
            shared.config.lease,
        )
        .await?;
        let claimed = self.seat.claim(&mut self.connection, 1).await?.pop();
        self.spent = false;
        Ok(claimed.map(|claimed| {
            self.last_tag += 1;
            self.held.insert(self.last_tag, claimed.message);
            Delivery {
                tag: DeliveryTag(self.last_tag),
                ..claimed.delivery
            }
        }))
    }

    async fn ack(&mut self, tags: &[DeliveryTag]) -> Result<(), TransportError> {
        let messages: Vec<i64> = tags
            .iter()
            .filter_map(|tag| self.held.remove(&tag.0))
            .collect();
        if messages.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let shared = Arc::clone(&self.shared);
        let _turn = shared.writer.lock().await;
        self.seat
            .acknowledge(&mut self.connection, &messages)
            .await?;
        self.spent = false;
        Ok(())
    }

    async fn close(mut self) {
        let turn = self.shared.writer.lock().await;
        // At best: otherwise the lease runs out.
        let _ = lease::give_up(&mut self.connection, self.seat.consumer).await;
        drop(turn);
        self.connection.close().await;
    }
}
