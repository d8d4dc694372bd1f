//! Answers to replicas that reconcile by the broker.
//!
//! One question at a time, on connections of its own, so that forwarding goes on beside it. Relays of one
//! master share a queue, and any of them answers.

mod telling;

use std::{num::NonZeroU16, time::Duration};

use cqrs_core::{Clock, SystemClock};
use cqrs_core::{
    CqrsId, RetryPolicy,
    reconcile::protocol::{self, Answer, Question, Told, VERSION, WORKING_EVERY},
    transport::{
        Ack, Delivery, Headers, Message, Publisher, Routing, Subscriber, Transport, TransportError,
    },
};
use cqrs_outbox::{reconcile::ReconcileSource, source::SourceModel};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::telling::tell;

/// How long an answer may wait for whoever asked.
const WORTH: Duration = Duration::from_mins(1);

/// Answers questions about a master's models.
#[derive(Debug)]
pub struct Answers<S, T> {
    store: S,
    transport: T,
    models: Vec<SourceModel>,
    exchange: String,
}

impl<S: ReconcileSource, T: Transport> Answers<S, T> {
    /// About these models. `exchange` is that of the transport.
    #[must_use]
    pub fn new(
        store: S,
        transport: T,
        models: Vec<SourceModel>,
        exchange: impl Into<String>,
    ) -> Self {
        Self {
            store,
            transport,
            models,
            exchange: exchange.into(),
        }
    }

    /// Answers until told to stop. Lost connections are made anew, for ever.
    ///
    /// # Cancel safety
    /// Safe: whoever asked hears nothing more, and asks again.
    pub async fn run(self, drain: CancellationToken) {
        if self.models.is_empty() {
            return;
        }
        let retry = RetryPolicy::reconnect(Duration::from_secs(10));
        let mut attempts = 0;
        loop {
            let Err(error) = self.serve(&mut attempts, &drain).await else {
                return;
            };
            attempts += 1;
            tracing::warn!(
                error = crate::outage::chain(&error),
                "replicas get no answers for the moment"
            );
            let pause = retry.delay(attempts).unwrap_or(Duration::from_secs(10));
            if drain
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn serve(
        &self,
        attempts: &mut u32,
        drain: &CancellationToken,
    ) -> Result<(), TransportError> {
        let mut cqrs_ids: Vec<CqrsId> = self.models.iter().map(|m| m.cqrs_id.clone()).collect();
        cqrs_ids.sort_unstable();
        let mut keys = Vec::with_capacity(cqrs_ids.len());
        for cqrs_id in &cqrs_ids {
            match protocol::question_key(cqrs_id) {
                Ok(key) => keys.push(key),
                Err(error) => tracing::warn!(%cqrs_id, %error, "it cannot be asked about"),
            }
        }
        let Ok(queue) = protocol::question_queue(&self.exchange, &cqrs_ids) else {
            return Ok(());
        };
        let mut questions = self
            .transport
            .temporary(&queue, &keys, NonZeroU16::MIN)
            .await?;
        let mut answers = self.transport.publisher().await?;
        tracing::debug!(%queue, "answering replicas");
        while let Some(delivery) = drain.run_until_cancelled(questions.next()).await {
            let delivery = delivery?;
            *attempts = 0;
            // First, so that one that cannot be answered does not come again and again.
            questions.ack(Ack::One(delivery.tag)).await?;
            let answering = self.answer(&delivery, &mut answers);
            match drain.run_until_cancelled(answering).await {
                Some(answered) => answered?,
                None => break,
            }
        }
        questions.close().await;
        answers.close().await;
        Ok(())
    }

    async fn answer(
        &self,
        delivery: &Delivery,
        answers: &mut T::Publisher,
    ) -> Result<(), TransportError> {
        let question: Question = match serde_json::from_slice(&delivery.body) {
            Ok(question) => question,
            Err(error) => {
                tracing::warn!(%error, "a question of another version");
                return Ok(());
            }
        };
        let Ok(to) = CqrsId::new(&question.answer_to) else {
            return Ok(());
        };
        tracing::debug!(cqrs_id = question.cqrs_id, "a replica asks");
        let mut mail = Mail {
            publisher: answers,
            to,
            id: question.id,
            part: 0,
        };
        let telling = tell(&self.store, &self.models, question);
        tokio::pin!(telling);
        let mut working = tokio::time::interval(Duration::from_secs(WORKING_EVERY));
        working.tick().await;
        let parts = loop {
            tokio::select! {
                parts = &mut telling => break parts,
                _ = working.tick() => {
                    if !mail.send(true, Told::Working).await? {
                        // Nobody waits for it any more.
                        return Ok(());
                    }
                }
            }
        };
        let count = parts.len();
        for (place, told) in parts.into_iter().enumerate() {
            if !mail.send(place + 1 < count, told).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Sends the parts of one answer.
struct Mail<'p, P> {
    publisher: &'p mut P,
    to: CqrsId,
    id: Uuid,
    part: u128,
}

impl<P: Publisher> Mail<'_, P> {
    /// Whether whoever asked is still there.
    async fn send(&mut self, more: bool, told: Told) -> Result<bool, TransportError> {
        self.part += 1;
        let answer = Answer {
            version: VERSION,
            id: self.id,
            more,
            told,
        };
        let Ok(body) = serde_json::to_vec(&answer) else {
            return Ok(false);
        };
        let message = Message {
            message_id: Uuid::from_u128(self.id.as_u128().wrapping_add(self.part)),
            routing: Routing::Broadcast(self.to.clone()),
            body: body.into(),
            headers: Headers::default(),
            timestamp: SystemClock.now(),
        };
        let outcomes = self.publisher.publish_for(&[message], WORTH).await?;
        Ok(outcomes == [cqrs_core::transport::Outcome::Confirmed])
    }
}
