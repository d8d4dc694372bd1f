//! What is handed to a broker and what comes from it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{CqrsId, QueueName, TraceContext};

/// A message to send. Always persistent, always `text/plain` in UTF-8, as django-cqrs sends it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its identity: the same on every repetition.
    pub message_id: Uuid,
    /// Whom it is for.
    pub routing: Routing,
    /// The body, see [`crate::wire`].
    pub body: Bytes,
    /// What travels beside the body.
    pub headers: Headers,
    /// When it was recorded.
    pub timestamp: DateTime<Utc>,
}

/// What travels beside a body. Django ignores all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `traceparent`: the trace of the change.
    pub trace: Option<TraceContext>,
    /// `cqrs-counted`: the master counts revisions without gaps or restarts, so that revision alone
    /// decides the order.
    pub counted: bool,
    /// `cqrs-forced`: a sync to be applied even where a later revision is known.
    pub forced: bool,
}

impl Headers {
    /// The header of [`Headers::trace`].
    pub const TRACEPARENT: &'static str = "traceparent";
    /// The header of [`Headers::counted`]: a boolean.
    pub const COUNTED: &'static str = "cqrs-counted";
    /// The header of [`Headers::forced`]: a boolean.
    pub const FORCED: &'static str = "cqrs-forced";
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Routing {
    /// Every queue that replicates the model.
    Broadcast(CqrsId),
    /// One queue.
    Direct {
        /// The queue.
        queue: QueueName,
        /// The model.
        cqrs_id: CqrsId,
    },
}

impl Routing {
    /// The routing key: `<cqrs_id>`, or `cqrs.<queue>.<cqrs_id>`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Broadcast(cqrs_id) => cqrs_id.to_string(),
            Self::Direct { queue, cqrs_id } => format!("cqrs.{queue}.{cqrs_id}"),
        }
    }

    /// How the events of a model come to a queue.
    #[cfg(any(feature = "rabbitmq", feature = "embedded"))]
    pub(crate) fn both(queue: &QueueName, cqrs_id: &CqrsId) -> [Self; 2] {
        [
            Self::Broadcast(cqrs_id.clone()),
            Self::Direct {
                queue: queue.clone(),
                cqrs_id: cqrs_id.clone(),
            },
        ]
    }
}

/// Names a delivery to its subscriber. Tags of one subscriber rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTag(pub u64);

/// A message that has come.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// For acknowledging it.
    pub tag: DeliveryTag,
    /// Its identity, where its sender gave one (django-cqrs gives none).
    pub message_id: Option<Uuid>,
    /// How it came: a direct sync has a key of its own.
    pub routing_key: String,
    /// The body, not yet read.
    pub body: Bytes,
    /// What travelled beside it. A header of the wrong type is taken as absent.
    pub headers: Headers,
    /// Whether the broker may have delivered it before.
    pub redelivered: bool,
}
