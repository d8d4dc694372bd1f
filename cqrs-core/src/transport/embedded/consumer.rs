//! The task behind a subscriber: it claims messages, renews the lease and acknowledges, whatever the
//! subscriber's owner is busy with. A cancelled call of the owner's interrupts none of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{Shared, connection::Connection, error::classify, lease, queue::Seat, sql, topology};
use crate::transport::{Ack, Delivery, DeliveryTag, TransportError};

/// The pause between two looks while messages come.
const BUSY_POLL: Duration = Duration::from_millis(2);
/// The most messages of one claim: it holds the write lock, and leaves some to the peers.
const CLAIM_LIMIT: usize = 256;

/// What a subscriber asks of its task.
#[derive(Debug)]
pub(super) enum Command {
    /// Acknowledge, and say how it went.
    Ack(Ack, oneshot::Sender<Result<(), TransportError>>),
    /// Hold no more than so many from now on.
    Prefetch(usize),
    /// Give everything back and end.
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    pub(super) seat: Seat,
    pub(super) prefetch: usize,
    pub(super) peers: lease::Peers,
    /// Deliveries without end of capacity: the prefetch bounds them.
    pub(super) deliveries: mpsc::UnboundedSender<Result<Delivery, TransportError>>,
    /// Claimed and not acknowledged, by tag.
    pub(super) held: BTreeMap<u64, i64>,
    pub(super) last_tag: u64,
    /// The file's version at the last look.
    pub(super) version: Option<i64>,
    /// There may be free messages whatever the version says.
    pub(super) more: bool,
    pub(super) pause: Duration,
    /// Whether the queue goes with its last consumer.
    pub(super) temporary: bool,
}

impl Consumer {
    /// Works until the subscriber is closed or dropped, or something fails.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut published = self.shared.published.subscribe();
        let closed = match self.work(&mut commands, &mut published).await {
            Ok(closed) => closed,
            Err(error) => {
                tracing::debug!(queue = %self.seat.name, %error, "subscriber ended");
                // A deleted queue took the lease with it.
                let error = match self.seat.look(&mut self.connection).await {
                    Err(gone @ TransportError::QueueGone { .. }) => gone,
                    _ => error,
                };
                // Nobody may be listening any more.
                let _ = self.deliveries.send(Err(error));
                None
            }
        };
        let turn = self.shared.writer.lock().await;
        // At best: otherwise the lease runs out.
        let _ = lease::give_up(&mut self.connection, self.seat.consumer).await;
        if self.temporary {
            // At best: otherwise the next one does it.
            let _ = topology::sweep_temporary(&mut self.connection).await;
        }
        drop(turn);
        self.connection.close().await;
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    async fn work(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        published: &mut watch::Receiver<u64>,
    ) -> Result<Option<oneshot::Sender<()>>, TransportError> {
        let lease = self.shared.config.lease;
        let (renew_every, check_every) = (lease * 2 / 5, lease / 10);
        let (mut renew_at, mut check_at) = (Instant::now() + renew_every, Instant::now());
        loop {
            let now = Instant::now();
            if now >= renew_at {
                let _turn = self.shared.writer.lock().await;
                lease::renew(&mut self.connection, self.seat.consumer, lease).await?;
                renew_at = now + renew_every;
            }
            if now >= check_at {
                let (queue, me) = (self.seat.queue, self.seat.consumer);
                self.more |= self
                    .peers
                    .bury_dead(&mut self.connection, queue, me)
                    .await?;
                check_at = now + check_every;
            }
            let room = self.held.len() < self.prefetch;
            if room {
                self.fetch().await?;
            }
            let wake_at = renew_at.min(check_at);
            let look_at = Instant::now() + self.pause;
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Ack(ack, done)) => {
                        let answer = self.acknowledge(ack).await;
                        let failed = answer.is_err();
                        let _ = done.send(answer);
                        if failed {
                            return Ok(None);
                        }
                    }
                    Some(Command::Prefetch(prefetch)) => self.prefetch = prefetch,
                    Some(Command::Close(done)) => return Ok(Some(done)),
                    None => return Ok(None),
                },
                Ok(()) = published.changed(), if room => self.pause = BUSY_POLL,
                () = sleep_until(look_at), if room => {}
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// Claims what there is, as far as there is room.
    async fn fetch(&mut self) -> Result<(), TransportError> {
        let version = sqlx::query_scalar(sql::DATA_VERSION)
            .fetch_one(&mut *self.connection)
            .await
            .map_err(classify)?;
        let changed = self.version.replace(version) != Some(version);
        if !changed && !self.more || !self.seat.look(&mut self.connection).await? {
            self.more = false;
            self.pause = (self.pause * 2).min(self.shared.config.poll_interval);
            return Ok(());
        }
        let limit = (self.prefetch - self.held.len()).min(CLAIM_LIMIT);
        let turn = self.shared.writer.lock().await;
        let claimed = self.seat.claim(&mut self.connection, limit).await?;
        drop(turn);
        // Our own commits do not change the version.
        self.more = claimed.len() == limit;
        self.pause = BUSY_POLL;
        for mut claimed in claimed {
            self.last_tag += 1;
            self.held.insert(self.last_tag, claimed.message);
            claimed.delivery.tag = DeliveryTag(self.last_tag);
            // A subscriber that has gone shows at the next command.
            let _ = self.deliveries.send(Ok(claimed.delivery));
        }
        Ok(())
    }

    async fn acknowledge(&mut self, ack: Ack) -> Result<(), TransportError> {
        let messages: Vec<i64> = match ack {
            Ack::One(tag) => self.held.remove(&tag.0).into_iter().collect(),
            Ack::UpTo(tag) => {
                let later = self.held.split_off(&tag.0.saturating_add(1));
                std::mem::replace(&mut self.held, later)
                    .into_values()
                    .collect()
            }
        };
        if messages.is_empty() {
            return Ok(());
        }
        let turn = self.shared.writer.lock().await;
        let answer = self.seat.acknowledge(&mut self.connection, &messages).await;
        drop(turn);
        match answer {
            Ok(()) => Ok(()),
            // A deleted queue took the lease with it.
            Err(error) => match self.seat.look(&mut self.connection).await {
                Err(gone @ TransportError::QueueGone { .. }) => Err(gone),
                _ => Err(error),
            },
        }
    }
}
