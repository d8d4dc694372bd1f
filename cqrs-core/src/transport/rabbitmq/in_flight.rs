//! Messages on their way, and what the broker says of each.

use std::{
    collections::HashSet,
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use lapin::{Channel, Confirmation, options::BasicPublishOptions};
use uuid::Uuid;

use super::{
    connection::Connection,
    error::{self, Fault, Objection},
    properties,
};
use crate::transport::{Message, Outcome, TransportError};

/// Why there is no word on some messages.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The broker has closed the channel for one of them. The connection is as good as before.
    Objection(Objection),
    /// The connection is unusable.
    Lost(TransportError),
}

/// Some messages that were sent together.
pub(super) struct InFlight<'a> {
    messages: Vec<&'a Message>,
    /// Of each, until there is an answer: it is written, then confirmed.
    sends: Vec<Option<BoxFuture<'a, lapin::Result<Confirmation>>>>,
    outcomes: Vec<Option<Outcome>>,
    /// The driver hands a returned message to whichever confirm comes next, which may be that of
    /// another message. Its id says which one it was; with the routing key, since ids may be given twice.
    returned: HashSet<(Uuid, String)>,
    failed: Option<Stopped>,
}

impl<'a> InFlight<'a> {
    /// Queues messages for sending, in this order.
    pub(super) async fn start(
        channel: &'a Channel,
        exchange: &'a str,
        time_to_live: Option<Duration>,
        messages: Vec<&'a Message>,
    ) -> Self {
        let sends = messages
            .iter()
            .map(|message| Some(send(channel, exchange, time_to_live, message).boxed()))
            .collect();
        let mut this = Self {
            outcomes: vec![None; messages.len()],
            messages,
            sends,
            returned: HashSet::new(),
            failed: None,
        };
        // The first poll of each, in order and in this one task: there the driver takes the next
        // delivery tag and queues the frames, under two locks. Sends from several tasks could get
        // tags and frames in different orders, and confirms would go to the wrong message.
        this.sweep().await;
        this
    }

    /// Waits for the word on all of them, and answers with what is known. The time limit is one
    /// without any word; while the broker blocks publishers it does not run.
    pub(super) async fn finish(
        mut self,
        connection: &Connection,
        limit: Duration,
    ) -> (Vec<Option<Outcome>>, Result<(), Stopped>) {
        let mut waits = false;
        let mut place = 0;
        while place < self.sends.len() && self.failed.is_none() {
            let answer = poll_fn(|context| self.poll(place, context));
            if tokio::time::timeout(limit, answer).await.is_ok() {
                place += 1;
            } else if self.sweep().await > 0 {
                // Others have got through.
            } else if connection.blocked() {
                if !std::mem::replace(&mut waits, true) {
                    tracing::warn!(
                        "the broker has blocked publishers: it is short of memory or disk space; \
                         waiting for it"
                    );
                }
            } else {
                let silent = Fault::Silent(limit, "no confirm").into();
                self.failed = Some(Stopped::Lost(silent));
            }
        }
        if waits && self.failed.is_none() {
            tracing::info!("the broker takes messages again");
        }
        let stopped = self.failed.take();
        if stopped.is_some() {
            // Answers that have come and were not looked at.
            self.sweep().await;
        }
        let mut outcomes = self.outcomes.clone();
        if stopped.is_some() {
            // A message that was returned may hang at a confirm that came while the others were
            // looked at: before any confirm seen until here, so there now.
            self.sweep().await;
        }
        for (message, outcome) in self.messages.iter().zip(&mut outcomes) {
            let name = || (message.message_id, message.routing.key());
            if outcome.is_some() && !self.returned.is_empty() && self.returned.contains(&name()) {
                *outcome = Some(Outcome::Unroutable);
            }
        }
        (outcomes, stopped.map_or(Ok(()), Err))
    }

    /// Looks at all that have no answer. Answers how many have one now.
    async fn sweep(&mut self) -> usize {
        let mut heard = 0;
        poll_fn(|context| {
            for place in 0..self.sends.len() {
                let waits = self.sends[place].is_some();
                heard += usize::from(waits && self.poll(place, context).is_ready());
            }
            Poll::Ready(heard)
        })
        .await
    }

    fn poll(&mut self, place: usize, context: &mut Context<'_>) -> Poll<()> {
        let Some(send) = &mut self.sends[place] else {
            return Poll::Ready(());
        };
        let Poll::Ready(answer) = send.poll_unpin(context) else {
            return Poll::Pending;
        };
        self.sends[place] = None;
        if let Err(stopped) = self.hear(place, answer) {
            self.failed.get_or_insert(stopped);
        }
        Poll::Ready(())
    }

    fn hear(&mut self, place: usize, answer: lapin::Result<Confirmation>) -> Result<(), Stopped> {
        let protocol = |problem| Stopped::Lost(Fault::Protocol(problem).into());
        let (outcome, returned) = match answer {
            Ok(Confirmation::Ack(returned)) => (Outcome::Confirmed, returned),
            Ok(Confirmation::Nack(returned)) => (Outcome::Refused, returned),
            Ok(Confirmation::NotRequested) => {
                return Err(protocol("the channel is not in confirm mode"));
            }
            Err(error) => {
                return Err(match error::objection(&error) {
                    Some(objection) => Stopped::Objection(objection),
                    None => Stopped::Lost(error::running(error)),
                });
            }
        };
        self.outcomes[place] = Some(outcome);
        if let Some(message) = returned {
            let id = properties::message_id(&message.properties)
                .ok_or_else(|| protocol("a message without an id was returned"))?;
            self.returned.insert((id, message.routing_key.to_string()));
        }
        Ok(())
    }
}

async fn send(
    channel: &Channel,
    exchange: &str,
    time_to_live: Option<Duration>,
    message: &Message,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let sent = channel.basic_publish(
        exchange.into(),
        message.routing.key().into(),
        options,
        &message.body,
        properties::of(message, time_to_live),
    );
    // Each confirm is awaited: the driver's `wait_for_confirms` waits for the last tag only and
    // keeps nacks to itself.
    sent.await?.await
}
