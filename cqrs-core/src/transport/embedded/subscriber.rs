//! The receiving end: a handle on a task that holds the lease.

use std::{collections::BTreeMap, num::NonZeroU16, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{
    Shared,
    connection::Connection,
    consumer::{Command, Consumer},
    error::{Fault, classify},
    lease,
    queue::Seat,
    sql, topology,
};
use crate::{
    CqrsId, QueueName,
    transport::{Ack, Delivery, Subscriber, Subscription, TransportError},
};

/// Receives from an embedded broker: see [`Subscriber`].
///
/// A task of its own holds the connection and renews the lease, so that messages stay its own while
/// their owner is busy. Dropping the subscriber ends the task, which first gives back what is not
/// acknowledged; only with the runtime itself gone does that take until the lease runs out.
#[derive(Debug)]
pub struct EmbeddedSubscriber {
    deliveries: mpsc::UnboundedReceiver<Result<Delivery, TransportError>>,
    commands: mpsc::Sender<Command>,
    /// How long a goodbye may take.
    patience: Duration,
}

impl EmbeddedSubscriber {
    pub(super) async fn open(
        shared: Arc<Shared>,
        subscription: &Subscription,
    ) -> Result<Self, TransportError> {
        Self::start(shared, subscription, false).await
    }

    pub(super) async fn open_temporary(
        shared: Arc<Shared>,
        queue: &QueueName,
        keys: &[CqrsId],
        prefetch: NonZeroU16,
    ) -> Result<Self, TransportError> {
        let subscription = Subscription {
            queue: queue.clone(),
            dead_letter_queue: None,
            cqrs_ids: keys.to_vec(),
            prefetch,
        };
        Self::start(shared, &subscription, true).await
    }

    async fn start(
        shared: Arc<Shared>,
        subscription: &Subscription,
        temporary: bool,
    ) -> Result<Self, TransportError> {
        let config = &shared.config;
        let mut connection = Connection::open(config).await?;
        let exchange = topology::declare_exchange(&mut connection, &config.exchange).await?;
        let turn = shared.writer.lock().await;
        let mut tx = connection.begin().await?;
        let queue = if temporary {
            let (queue, keys) = (&subscription.queue, &subscription.cqrs_ids);
            topology::declare_temporary(&mut tx, exchange, queue, keys).await?
        } else {
            topology::declare_queues(&mut tx, exchange, subscription).await?
        };
        let consumer = lease::take(&mut tx, queue, config.lease).await?;
        tx.commit().await.map_err(classify)?;
        drop(turn);
        sqlx::query(sql::SYNC_LESS)
            .execute(&mut *connection)
            .await
            .map_err(classify)?;

        let (to_owner, deliveries) = mpsc::unbounded_channel();
        let (commands, to_task) = mpsc::channel(1);
        let patience = config.busy_timeout;
        let consumer = Consumer {
            connection,
            seat: Seat {
                queue,
                consumer,
                name: subscription.queue.clone(),
            },
            prefetch: usize::from(subscription.prefetch.get()),
            peers: lease::Peers::new(config.lease),
            deliveries: to_owner,
            held: BTreeMap::new(),
            last_tag: 0,
            version: None,
            more: true,
            pause: config.poll_interval,
            temporary,
            shared,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends by itself when `commands` is dropped, must outlive that to give its \
                      messages back, and its error goes to `deliveries`"
        )]
        tokio::spawn(consumer.run(to_task));
        Ok(Self {
            deliveries,
            commands,
            patience,
        })
    }

    /// Why the task has ended. What was delivered before is void.
    async fn end(&mut self) -> TransportError {
        while let Some(delivery) = self.deliveries.recv().await {
            if let Err(error) = delivery {
                return error;
            }
        }
        Fault::Ended.into()
    }
}

impl Subscriber for EmbeddedSubscriber {
    async fn next(&mut self) -> Result<Delivery, TransportError> {
        self.deliveries
            .recv()
            .await
            .unwrap_or_else(|| Err(Fault::Ended.into()))
    }

    async fn set_prefetch(&mut self, prefetch: NonZeroU16) -> Result<(), TransportError> {
        let prefetch = Command::Prefetch(usize::from(prefetch.get()));
        match self.commands.send(prefetch).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.end().await),
        }
    }

    async fn ack(&mut self, ack: Ack) -> Result<(), TransportError> {
        let (done, answer) = oneshot::channel();
        if self.commands.send(Command::Ack(ack, done)).await.is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        Err(self.end().await)
    }

    async fn close(self) {
        let (done, answer) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            let _ = tokio::time::timeout(self.patience, answer).await;
        }
    }
}
