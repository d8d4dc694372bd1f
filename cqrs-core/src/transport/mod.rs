//! How messages reach a broker and come from one.
//!
//! A transport is a broker's address and settings: cheap to clone, connecting to nothing by itself.
//! A [`Publisher`] or a [`Subscriber`] owns one connection. Any error ends it: drop it, wait as a
//! retry policy says, ask the transport for a new one. Neither is shared between tasks; open as many
//! as there are tasks.

mod browse;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod message;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;

use std::{fmt::Debug, future::Future, num::NonZeroU16, time::Duration};

pub use browse::{Browse, Browser};
pub use error::{PublishError, TransportError};
pub use message::{Delivery, DeliveryTag, Headers, Message, Routing};

use crate::{CqrsId, QueueName};

/// A broker.
pub trait Transport: Clone + Debug + Send + Sync + 'static {
    /// What sends.
    type Publisher: Publisher;
    /// What receives.
    type Subscriber: Subscriber;

    /// Opens a connection for sending and declares the exchange.
    ///
    /// Cancellation: a dropped call leaves nothing open.
    fn publisher(&self) -> impl Future<Output = Result<Self::Publisher, TransportError>> + Send;

    /// Opens a connection for receiving, declares the exchange, the queue, the dead letter queue
    /// and their bindings as django-cqrs does, and starts to consume.
    ///
    /// Cancellation: a dropped call leaves nothing open; what was declared stays.
    fn subscriber(
        &self,
        subscription: &Subscription,
    ) -> impl Future<Output = Result<Self::Subscriber, TransportError>> + Send;

    /// Opens a connection for receiving from a queue that is there only while someone receives from
    /// it, bound to broadcasts with these keys. Its name begins with [`TEMPORARY`]; others may share
    /// it. A broker that has no such queues gives a lasting one.
    ///
    /// Cancellation: a dropped call leaves nothing open.
    fn temporary(
        &self,
        queue: &QueueName,
        keys: &[CqrsId],
        prefetch: NonZeroU16,
    ) -> impl Future<Output = Result<Self::Subscriber, TransportError>> + Send {
        let subscription = Subscription {
            queue: queue.clone(),
            dead_letter_queue: None,
            cqrs_ids: keys.to_vec(),
            prefetch,
        };
        async move { self.subscriber(&subscription).await }
    }
}

/// How the names of temporary queues begin.
pub const TEMPORARY: &str = "cqrs-temporary.";

/// The sending end of one connection.
pub trait Publisher: Send + 'static {
    /// Sends messages in the order given, pipelined, and waits for the broker's word on each.
    ///
    /// The answer has one outcome for each message, in the same order. [`Outcome::Confirmed`] means
    /// that the broker has made the message durable in every queue bound to its routing key, and
    /// that there is at least one. A consumer of a queue sees confirmed messages of one publisher in
    /// the order sent, redeliveries aside.
    ///
    /// # Errors
    /// The connection is unusable. [`PublishError`] has what is known of each message; the others may
    /// or may not have arrived: send them again on a new publisher.
    ///
    /// Cancellation: a dropped call leaves the publisher unusable; drop it too.
    fn publish(
        &mut self,
        messages: &[Message],
    ) -> impl Future<Output = Result<Vec<Outcome>, PublishError>> + Send;

    /// Sends as [`Self::publish`] does, and lets the broker drop what is still in a queue after this
    /// long, as django-cqrs has it done with dead letters. A broker that cannot keeps it; one with a
    /// limit (RabbitMQ: 49 days) may drop it after that.
    ///
    /// # Errors
    /// As for [`Self::publish`].
    ///
    /// Cancellation: as for [`Self::publish`].
    fn publish_for(
        &mut self,
        messages: &[Message],
        time_to_live: Duration,
    ) -> impl Future<Output = Result<Vec<Outcome>, PublishError>> + Send {
        let _ = time_to_live;
        self.publish(messages)
    }

    /// Ends the connection in good order.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The broker's word on one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable in at least one queue.
    Confirmed,
    /// The broker could not take it (a full queue, an internal error, no permission for its routing
    /// key). Later it may.
    Refused,
    /// The broker takes no body of this length.
    TooLarge,
    /// No queue is bound to its routing key.
    Unroutable,
}

/// What a subscriber reads.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The service's queue.
    pub queue: QueueName,
    /// The queue of its dead letters, declared beside it as django-cqrs does.
    pub dead_letter_queue: Option<QueueName>,
    /// The models to bind. Those of other models stay; [`Browse::unbind`] removes them.
    pub cqrs_ids: Vec<CqrsId>,
    /// How many messages may be unacknowledged.
    pub prefetch: NonZeroU16,
}

/// The type of a queue that is not there yet. One that is there is taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueType {
    /// The virtual host's default, as django-cqrs has it. If that is quorum, RabbitMQ 4 gives the
    /// queue a limit of 20 deliveries, after which it drops a message.
    #[default]
    Default,
    /// On one node.
    Classic,
    /// Replicated in a cluster, and without a limit of deliveries that could be reached.
    Quorum,
}

/// The receiving end of one connection.
///
/// Messages come at least once: what was not acknowledged when a subscriber ends, in whatever way,
/// is delivered again, to it or to another one of the same queue.
pub trait Subscriber: Send + 'static {
    /// The next message, waiting for it if need be.
    ///
    /// # Errors
    /// [`TransportError::QueueGone`] when the queue was deleted; otherwise the connection is
    /// unusable. All unacknowledged tags are void in both cases.
    ///
    /// Cancellation: safe; a message is either returned or still to come.
    fn next(&mut self) -> impl Future<Output = Result<Delivery, TransportError>> + Send;

    /// From now on at most so many messages may be unacknowledged; those that have been sent before
    /// may come beside them, and come first. For receivers that learn how large the messages are.
    ///
    /// # Errors
    /// As for [`Self::next`].
    ///
    /// Cancellation: a dropped call leaves the subscriber unusable; drop it too.
    fn set_prefetch(
        &mut self,
        prefetch: NonZeroU16,
    ) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Acknowledges: the message is gone for good. Returning means that the word was sent, not that
    /// the broker has heard it; a duplicate may still come.
    ///
    /// # Errors
    /// The connection is unusable.
    ///
    /// Cancellation: a dropped call leaves the subscriber unusable; drop it too.
    fn ack(&mut self, ack: Ack) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Ends the connection in good order; unacknowledged messages go back to the queue.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Which messages are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// This one.
    One(DeliveryTag),
    /// This one and all delivered before it by the same subscriber.
    UpTo(DeliveryTag),
}
