//! The sending end: pipelined, every message confirmed by name.

use std::{collections::HashSet, time::Duration};

use lapin::options::ConfirmSelectOptions;

use super::{
    config::RabbitMqConfig,
    connection::{Connection, Unsent},
    error::{self, Fault, Objection},
    in_flight::{InFlight, Stopped},
    topology,
};
use crate::transport::{Message, Outcome, PublishError, Publisher, Routing, TransportError};

/// Sends to a RabbitMQ: see [`Publisher`].
///
/// While the broker blocks publishers (an alarm of its memory or disk), a call waits on the same
/// connection for as long as that takes: it would process what it was sent on a connection that was
/// given up, when the alarm is over, beside what comes on the next one.
#[derive(Debug)]
pub struct RabbitMqPublisher {
    connection: Connection,
    exchange: String,
    confirm_timeout: Duration,
    max_in_flight: usize,
    /// Set while a call is under way: a cancelled one leaves confirms and returned messages behind
    /// that a later call would take for its own.
    spent: bool,
    objections: Objections,
}

/// What the broker has objected to on this connection. The like is sent alone, so that nothing else
/// is sent twice for it.
#[derive(Debug, Default)]
struct Objections {
    forbidden: HashSet<Routing>,
    /// The smallest body that was too large.
    too_large: Option<usize>,
}

/// A call: the messages, and what is known of each.
struct Call<'a> {
    messages: &'a [Message],
    time_to_live: Option<Duration>,
    outcomes: Vec<Option<Outcome>>,
}

impl RabbitMqPublisher {
    pub(super) async fn open(config: &RabbitMqConfig) -> Result<Self, TransportError> {
        let mut connection = Connection::open_with(config, "publisher", Unsent::IsDropped).await?;
        topology::declare_exchange(&mut connection, &config.exchange).await?;
        let this = Self {
            connection,
            exchange: config.exchange.clone(),
            confirm_timeout: config.confirm_timeout,
            max_in_flight: usize::from(config.max_in_flight.get()),
            spent: false,
            objections: Objections::default(),
        };
        this.select().await?;
        Ok(this)
    }

    async fn select(&self) -> Result<(), TransportError> {
        let channel = self.connection.channel();
        let selected = channel.confirm_select(ConfirmSelectOptions::default());
        selected.await.map_err(error::running)
    }

    /// The broker has closed the channel, not the connection.
    async fn reopen(&mut self) -> Result<(), TransportError> {
        let limit = self.confirm_timeout;
        let reopened = async {
            self.connection.reopen_channel().await?;
            self.select().await
        };
        match tokio::time::timeout(limit, reopened).await {
            Ok(reopened) => reopened,
            Err(_) => Err(Fault::Silent(limit, "opening a channel").into()),
        }
    }

    async fn publish_all(
        &mut self,
        messages: &[Message],
        time_to_live: Option<Duration>,
    ) -> Result<Vec<Outcome>, PublishError> {
        if std::mem::replace(&mut self.spent, true) {
            return Err(TransportError::from(Fault::Spent).into());
        }
        let mut call = Call {
            messages,
            time_to_live,
            outcomes: vec![None; messages.len()],
        };
        if let Err(error) = self.work(&mut call).await {
            return Err(PublishError {
                outcomes: call.outcomes,
                error,
            });
        }
        self.spent = false;
        Ok(call.outcomes.into_iter().flatten().collect())
    }

    /// Sends until there is a word on every message.
    async fn work(&mut self, call: &mut Call<'_>) -> Result<(), TransportError> {
        loop {
            let some = self.next_of(call);
            let Some(&first) = some.first() else {
                return Ok(());
            };
            match self.send(call, &some).await {
                Ok(()) => self.objections.clear(&call.messages[first]),
                Err(Stopped::Objection(objection)) => {
                    self.reopen().await?;
                    if some.len() == 1 {
                        self.note_objection(call, first, objection);
                    } else {
                        self.isolate(call, &some, objection).await?;
                    }
                }
                Err(Stopped::Lost(error)) => return Err(error),
            }
        }
    }

    /// The places of those to send next: one that the broker may object to alone.
    fn next_of(&self, call: &Call<'_>) -> Vec<usize> {
        let suspicious = |place: &usize| self.objections.concern(&call.messages[*place]);
        let mut open = call.open().peekable();
        if open.peek().is_some_and(suspicious) {
            return open.take(1).collect();
        }
        // A collective confirm costs the driver a look at all pending ones.
        let others = open.take_while(|place| !suspicious(place));
        others.take(self.max_in_flight).collect()
    }

    /// Sends these alone, and waits for the word on all of them.
    async fn send(&self, call: &mut Call<'_>, places: &[usize]) -> Result<(), Stopped> {
        let messages = places.iter().map(|place| &call.messages[*place]).collect();
        let channel = self.connection.channel();
        let flight = InFlight::start(channel, &self.exchange, call.time_to_live, messages).await;
        let (outcomes, sent) = flight.finish(&self.connection, self.confirm_timeout).await;
        for (place, outcome) in places.iter().zip(outcomes) {
            call.outcomes[*place] = outcome;
        }
        sent
    }

    /// Finds the messages that the broker has objected to, by sending some of these alone. What it
    /// says is not clear enough: which key, but in words; of a body that is too large nothing.
    async fn isolate(
        &mut self,
        call: &mut Call<'_>,
        places: &[usize],
        objection: Objection,
    ) -> Result<(), TransportError> {
        let mut allowed = HashSet::new();
        loop {
            let messages = call.messages;
            let mut open = places
                .iter()
                .filter(|place| call.outcomes[**place].is_none());
            let suspect = match objection {
                Objection::Forbidden => {
                    open.find(|place| !allowed.contains(&messages[**place].routing))
                }
                Objection::TooLarge => open.max_by_key(|place| messages[**place].body.len()),
            };
            let Some(&suspect) = suspect else {
                return Ok(());
            };
            match self.send(call, &[suspect]).await {
                // The others are smaller.
                Ok(()) if objection == Objection::TooLarge => return Ok(()),
                Ok(()) => {
                    allowed.insert(&messages[suspect].routing);
                }
                Err(Stopped::Objection(objection)) => {
                    self.note_objection(call, suspect, objection);
                    self.reopen().await?;
                }
                Err(Stopped::Lost(error)) => return Err(error),
            }
        }
    }

    /// The broker objects to this message, and so to all like it.
    fn note_objection(&mut self, call: &mut Call<'_>, place: usize, objection: Objection) {
        let bad = &call.messages[place];
        let outcome = match objection {
            Objection::Forbidden => {
                tracing::warn!(
                    routing_key = bad.routing.key(),
                    "the broker's user may not send with this routing key \
                     (`rabbitmqctl set_permissions`, `set_topic_permissions`)"
                );
                self.objections.forbidden.insert(bad.routing.clone());
                Outcome::Refused
            }
            Objection::TooLarge => {
                let smallest = self.objections.too_large.unwrap_or(usize::MAX);
                self.objections.too_large = Some(smallest.min(bad.body.len()));
                Outcome::TooLarge
            }
        };
        for (other, known) in call.messages.iter().zip(&mut call.outcomes) {
            let is_like = match objection {
                Objection::Forbidden => other.routing == bad.routing,
                Objection::TooLarge => other.body.len() >= bad.body.len(),
            };
            if known.is_none() && is_like {
                *known = Some(outcome);
            }
        }
    }
}

impl Call<'_> {
    /// The places of the messages on which there is no word.
    fn open(&self) -> impl Iterator<Item = usize> + '_ {
        let places = self.outcomes.iter().enumerate();
        places.filter_map(|(place, outcome)| outcome.is_none().then_some(place))
    }
}

impl Objections {
    fn concern(&self, message: &Message) -> bool {
        self.forbidden.contains(&message.routing)
            || self.too_large.is_some_and(|len| message.body.len() >= len)
    }

    /// The broker has taken a message.
    fn clear(&mut self, message: &Message) {
        self.forbidden.remove(&message.routing);
        self.too_large = self.too_large.filter(|len| message.body.len() < *len);
    }
}

impl Publisher for RabbitMqPublisher {
    async fn publish(&mut self, messages: &[Message]) -> Result<Vec<Outcome>, PublishError> {
        self.publish_all(messages, None).await
    }

    async fn publish_for(
        &mut self,
        messages: &[Message],
        time_to_live: Duration,
    ) -> Result<Vec<Outcome>, PublishError> {
        self.publish_all(messages, Some(time_to_live)).await
    }

    async fn close(self) {
        self.connection.close().await;
    }
}
