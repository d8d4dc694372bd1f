//! A broker without a server: exchange, bindings and queues in one `SQLite` file that several
//! processes of one machine share.
//!
//! Guarantees: a confirmed batch is on the disk (one transaction, `synchronous = FULL`), in every
//! queue bound to its keys. Messages of a queue are delivered in the order of commits. What a
//! consumer holds belongs to its lease: closing or dropping it gives everything back at once, a crash
//! when the lease runs out. It does not guarantee that a power cut leaves acknowledgements in force:
//! such messages are delivered again.
//!
//! | failure | what the caller sees |
//! |---|---|
//! | file busy for longer than `busy_timeout`, full disk, I/O error | `Unavailable`; nothing of the batch is stored |
//! | lease lost (a process stopped for longer) | `Unavailable`; peers have its messages |
//! | queue deleted (`DELETE FROM queue`) | `QueueGone` |
//! | no write access, another file, a newer schema | `Misconfigured` |
//! | no queue bound | [`Outcome::Unroutable`](super::Outcome::Unroutable) |
//!
//! One writer at a time writes to the file, also a stopped one: that stops them all.

mod browser;
mod config;
mod connection;
mod consumer;
mod error;
mod lease;
mod publisher;
mod queue;
mod sql;
mod subscriber;
mod topology;

use std::{num::NonZeroU16, sync::Arc};

use tokio::sync::{Mutex, watch};

pub use browser::EmbeddedBrowser;
pub use config::EmbeddedConfig;
pub use publisher::EmbeddedPublisher;
pub use subscriber::EmbeddedSubscriber;

use self::{connection::Connection, error::classify};
use super::{Browse, Subscription, Transport, TransportError};
use crate::{CqrsId, QueueName};

/// A broker in a file.
///
/// Clones share what makes them quick within one process: a subscriber is woken by a publisher of a
/// clone, and writers wait for each other in line rather than by `SQLite`'s own retries.
#[derive(Debug, Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: EmbeddedConfig,
    /// Whose turn it is to write.
    writer: Mutex<()>,
    /// Counts the batches sent.
    published: watch::Sender<u64>,
}

impl Embedded {
    /// A broker by its settings. Nothing is opened or checked yet.
    #[must_use]
    pub fn new(config: EmbeddedConfig) -> Self {
        let shared = Shared {
            config,
            writer: Mutex::new(()),
            published: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How many messages are ready in a queue: those that no live subscriber holds. It counts them,
    /// so not for often.
    ///
    /// # Errors
    /// [`TransportError::QueueGone`] when there is no such queue; otherwise as connecting.
    pub async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        let mut connection = Connection::open(&self.shared.config).await?;
        let id = topology::find_queue(&mut connection, queue).await?;
        let id = id.ok_or_else(|| TransportError::QueueGone {
            queue: queue.clone(),
        })?;
        let depth: i64 = sqlx::query_scalar(sql::DEPTH)
            .bind(id)
            .fetch_one(&mut *connection)
            .await
            .map_err(classify)?;
        connection.close().await;
        Ok(u64::try_from(depth).unwrap_or_default())
    }
}

impl Transport for Embedded {
    type Publisher = EmbeddedPublisher;
    type Subscriber = EmbeddedSubscriber;

    async fn publisher(&self) -> Result<EmbeddedPublisher, TransportError> {
        EmbeddedPublisher::open(Arc::clone(&self.shared)).await
    }

    async fn subscriber(
        &self,
        subscription: &Subscription,
    ) -> Result<EmbeddedSubscriber, TransportError> {
        EmbeddedSubscriber::open(Arc::clone(&self.shared), subscription).await
    }

    async fn temporary(
        &self,
        queue: &QueueName,
        keys: &[CqrsId],
        prefetch: NonZeroU16,
    ) -> Result<EmbeddedSubscriber, TransportError> {
        let shared = Arc::clone(&self.shared);
        EmbeddedSubscriber::open_temporary(shared, queue, keys, prefetch).await
    }
}

impl Browse for Embedded {
    type Browser = EmbeddedBrowser;

    async fn browse(&self, queue: &QueueName) -> Result<EmbeddedBrowser, TransportError> {
        EmbeddedBrowser::open(Arc::clone(&self.shared), queue).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        Self::depth(self, queue).await
    }

    async fn unbind(&self, queue: &QueueName, cqrs_id: &CqrsId) -> Result<(), TransportError> {
        let mut connection = Connection::open(&self.shared.config).await?;
        let exchange = &self.shared.config.exchange;
        topology::unbind(&mut connection, exchange, queue, cqrs_id).await?;
        connection.close().await;
        Ok(())
    }
}
