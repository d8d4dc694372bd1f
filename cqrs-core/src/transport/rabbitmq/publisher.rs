//! The sending end: pipelined, every message confirmed by name.

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use futures_util::future::maybe_done;
use lapin::{
    Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use uuid::Uuid;

use super::{
    config::RabbitMqConfig,
    connection::Connection,
    error::{self, Fault},
    properties, topology,
};
use crate::transport::{Message, Outcome, Publisher, TransportError};

/// Sends to a RabbitMQ: see [`Publisher`].
#[derive(Debug)]
pub struct RabbitMqPublisher {
    connection: Connection,
    exchange: String,
    confirm_timeout: Duration,
    max_in_flight: usize,
    /// Set while a call is under way: a cancelled one leaves confirms and returned messages behind
    /// that a later call would take for its own.
    spent: bool,
}

impl RabbitMqPublisher {
    pub(super) async fn open(config: &RabbitMqConfig) -> Result<Self, TransportError> {
        let connection = Connection::open(config, "publisher").await?;
        topology::declare_exchange(connection.channel(), &config.exchange).await?;
        connection
            .channel()
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(error::running)?;
        Ok(Self {
            connection,
            exchange: config.exchange.clone(),
            confirm_timeout: config.confirm_timeout,
            max_in_flight: usize::from(config.max_in_flight.get()),
            spent: false,
        })
    }

    /// Sends as many as may be in flight and waits for all their confirms.
    async fn publish_some(
        &self,
        messages: &[Message],
        time_to_live: Option<Duration>,
    ) -> Result<Vec<Outcome>, TransportError> {
        let channel = self.connection.channel();
        let mut sends: Vec<_> = messages
            .iter()
            .map(|message| {
                Box::pin(maybe_done(channel.basic_publish(
                    self.exchange.as_str().into(),
                    message.routing.key().into(),
                    BasicPublishOptions {
                        mandatory: true,
                        immediate: false,
                    },
                    &message.body,
                    properties::of(message, time_to_live),
                )))
            })
            .collect();
        // The first poll of each, in order and in this one task: there the driver takes the next
        // delivery tag and queues the frames, under two locks. Sends from several tasks could get
        // tags and frames in different orders, and confirms would go to the wrong message.
        for send in &mut sends {
            let _ = poll_fn(|context| Poll::Ready(send.as_mut().poll(context))).await;
        }
        let mut confirms = Vec::with_capacity(sends.len());
        for mut send in sends {
            send.as_mut().await;
            // Always there after the line above.
            let sent = send.as_mut().take_output().ok_or(Fault::Spent)?;
            confirms.push(sent.map_err(error::running)?);
        }

        // Each confirm is awaited: the driver's `wait_for_confirms` waits for the last tag only and
        // keeps nacks to itself.
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut returned = HashSet::new();
        for confirm in confirms {
            let (outcome, message) = match confirm.await.map_err(error::running)? {
                Confirmation::Ack(message) => (Outcome::Confirmed, message),
                Confirmation::Nack(message) => (Outcome::Refused, message),
                Confirmation::NotRequested => {
                    return Err(Fault::Protocol("the channel is not in confirm mode").into());
                }
            };
            outcomes.push(outcome);
            // The driver hands a returned message to whichever confirm comes next, which may be
            // that of another message. Only its own id says which one it was; that all came before
            // the last confirm of the batch is certain, since the broker returns before it acks.
            if let Some(message) = message {
                let id = properties::message_id(&message.properties)
                    .ok_or(Fault::Protocol("a message without an id was returned"))?;
                returned.insert(id);
            }
        }
        mark_returned(messages, &mut outcomes, &returned);
        Ok(outcomes)
    }

    async fn publish_all(
        &mut self,
        messages: &[Message],
        time_to_live: Option<Duration>,
    ) -> Result<Vec<Outcome>, TransportError> {
        if std::mem::replace(&mut self.spent, true) {
            return Err(Fault::Spent.into());
        }
        let mut outcomes = Vec::with_capacity(messages.len());
        // A collective confirm costs the driver a look at all pending ones.
        for some in messages.chunks(self.max_in_flight) {
            // A blocked connection writes nothing and fails nothing: only time tells.
            match tokio::time::timeout(self.confirm_timeout, self.publish_some(some, time_to_live))
                .await
            {
                Ok(answer) => outcomes.append(&mut answer?),
                Err(_) if self.connection.blocked() => {
                    return Err(Fault::Blocked(self.confirm_timeout).into());
                }
                Err(_) => return Err(Fault::Silent(self.confirm_timeout, "no confirm").into()),
            }
        }
        self.spent = false;
        Ok(outcomes)
    }
}

fn mark_returned(messages: &[Message], outcomes: &mut [Outcome], returned: &HashSet<Uuid>) {
    if returned.is_empty() {
        return;
    }
    for (message, outcome) in messages.iter().zip(outcomes) {
        if returned.contains(&message.message_id) {
            *outcome = Outcome::Unroutable;
        }
    }
}

impl Publisher for RabbitMqPublisher {
    async fn publish(&mut self, messages: &[Message]) -> Result<Vec<Outcome>, TransportError> {
        self.publish_all(messages, None).await
    }

    async fn publish_for(
        &mut self,
        messages: &[Message],
        time_to_live: Duration,
    ) -> Result<Vec<Outcome>, TransportError> {
        self.publish_all(messages, Some(time_to_live)).await
    }

    async fn close(self) {
        self.connection.close().await;
    }
}
