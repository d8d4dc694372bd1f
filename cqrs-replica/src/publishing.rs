//! Publishes dead letters to the broker's queue of dead letters, where the tools of django-cqrs look.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cqrs_core::{
    CqrsId, QueueName, RetryPolicy,
    transport::{Message, Outcome, PublishError, Publisher, Routing, Transport, TransportError},
    wire,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    ReplicaSession, ReplicaStore, UnpublishedLetter, WorkerConfig, WorkerError,
    broker_letters::identity,
    supervisor::{Outages, SupervisedSession},
    worker::{metrics, task::Task},
};

/// How many letters are taken at a time, and for how long they are held for this worker.
const LIMIT: usize = 100;
const HOLD: Duration = Duration::from_secs(30);

pub(crate) struct Publishing<S: ReplicaStore, T: Transport> {
    pub(crate) session: SupervisedSession<S>,
    pub(crate) transport: T,
    pub(crate) config: Arc<WorkerConfig>,
    /// The models whose dead letters are published.
    pub(crate) cqrs_ids: Vec<CqrsId>,
    /// Where to.
    pub(crate) queue: QueueName,
    pub(crate) outages: Arc<Outages>,
    pub(crate) retry: RetryPolicy,
    pub(crate) soft: CancellationToken,
}

impl<S: ReplicaStore, T: Transport> Publishing<S, T> {
    /// Works until the soft stop. What it has in hand then is published by another worker, or by this
    /// one at its next start, and may be there twice.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let soft = self.soft.clone();
        soft.run_until_cancelled(self.publish_for_ever()).await;
        // A call that was cut short leaves its session unusable.
        self.session.reset();
        self.session.close().await;
        Ok(())
    }

    async fn publish_for_ever(&mut self) {
        let mut publisher = None;
        let mut failures = 0;
        loop {
            let letters = self.take().await;
            if letters.is_empty() {
                tokio::time::sleep(self.config.letter_interval).await;
                continue;
            }
            let mut confirmed = Vec::new();
            let done = self.publish(&mut publisher, &letters, &mut confirmed).await;
            self.mark(&confirmed).await;
            match done {
                Ok(()) => {
                    if std::mem::take(&mut failures) > 0 {
                        self.outages.recovered(Task::Publishing);
                    }
                }
                Err(error) => {
                    publisher = None;
                    failures += 1;
                    self.outages.failed(Task::Publishing, &error);
                    // An error may hold what is not Sync; it must not live over the pause.
                    drop(error);
                    let pause = self.retry.delay(failures).unwrap_or(self.retry.max);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn take(&mut self) -> Vec<UnpublishedLetter> {
        let queue = &self.config.apply.queue;
        loop {
            let session = self.session.get().await;
            match session
                .letters_to_publish(queue, &self.cqrs_ids, HOLD, LIMIT)
                .await
            {
                Ok(letters) => {
                    self.session.succeeded();
                    return letters;
                }
                Err(error) => self.session.failed(error).await,
            }
        }
    }

    /// Notes which letters the broker has, and under which ids, also when the connection is lost.
    async fn publish(
        &mut self,
        publisher: &mut Option<T::Publisher>,
        letters: &[UnpublishedLetter],
        confirmed: &mut Vec<(i64, Uuid)>,
    ) -> Result<(), TransportError> {
        let (ids, messages): (Vec<i64>, Vec<Message>) = letters
            .iter()
            .filter_map(|letter| Some((letter.id, self.message(letter)?)))
            .unzip();
        let open = match publisher {
            Some(open) => open,
            None => publisher.insert(self.transport.publisher().await?),
        };
        let sent = match self.config.dead_letter_ttl {
            Some(time) => open.publish_for(&messages, time).await,
            None => open.publish(&messages).await,
        };
        let (outcomes, sent) = match sent {
            Ok(outcomes) => (outcomes.into_iter().map(Some).collect(), Ok(())),
            Err(PublishError { outcomes, error }) => (outcomes, Err(error)),
        };
        let mut refused = 0;
        for ((id, message), outcome) in ids.into_iter().zip(&messages).zip(outcomes) {
            match outcome {
                Some(Outcome::Confirmed) => confirmed.push((id, message.message_id)),
                Some(_) => refused += 1,
                None => {}
            }
        }
        if refused > 0 {
            let queue = self.queue.as_str();
            tracing::warn!(
                queue,
                refused,
                "dead letters not taken by the broker; later again"
            );
        }
        sent
    }

    async fn mark(&mut self, published: &[(i64, Uuid)]) {
        if published.is_empty() {
            return;
        }
        let queue = &self.config.apply.queue;
        loop {
            let session = self.session.get().await;
            match session.letters_published(queue, published).await {
                Ok(()) => {
                    self.session.succeeded();
                    metrics::dead_letters_published(published.len());
                    return;
                }
                Err(error) => self.session.failed(error).await,
            }
        }
    }

    /// The letter as django-cqrs would send it.
    fn message(&self, letter: &UnpublishedLetter) -> Option<Message> {
        let incoming = &letter.incoming;
        let mut event = incoming.event.as_deref()?.clone();
        event.retries = letter.attempts;
        Some(Message {
            message_id: identity(incoming),
            routing: Routing::Direct {
                queue: self.queue.clone(),
                cqrs_id: event.cqrs_id.clone(),
            },
            body: Bytes::from(wire::encode(&event)),
            headers: incoming.headers.clone(),
            timestamp: letter.created_at,
        })
    }
}
