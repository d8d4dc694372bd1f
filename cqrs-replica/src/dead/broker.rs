//! The broker's queue of dead letters: what a worker of django-cqrs, or ours, has left there.

use std::fmt;

use cqrs_core::{
    QueueName, StoreError,
    transport::{Browse, Browser, Delivery, DeliveryTag, TransportError},
    wire,
};
use serde::Serialize;
use uuid::Uuid;

use super::Body;
use crate::{
    Imported, Incoming, ReplicaSession, ReplicaStore,
    plain::{columns, plain, shorten},
};

/// How many messages one transaction imports.
const BATCH: usize = 100;

/// A message in the broker's queue of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BrokerLetter {
    /// The message's identity, where its sender gave one.
    pub message_id: Option<Uuid>,
    /// How the message came there.
    pub routing_key: String,
    /// The model, where it could be read.
    pub cqrs_id: Option<String>,
    /// The canonical key, where it could be read.
    pub instance_pk: Option<String>,
    /// What happened, where it could be read.
    pub signal: Option<&'static str>,
    /// The revision, where it could be read.
    pub revision: Option<i64>,
    /// How often it was tried again.
    pub retries: Option<u32>,
    /// The body.
    #[serde(flatten)]
    pub body: Body,
}

/// Such messages. `Display` is a table without bodies, `Serialize` a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BrokerListing {
    /// Each of them, oldest first.
    pub letters: Vec<BrokerLetter>,
}

/// Looks at the oldest messages of a queue. They stay in it, marked as redelivered; while this looks,
/// nobody else gets them.
///
/// # Errors
/// [`TransportError::QueueGone`] when there is no such queue, or a failure of the connection.
///
/// Cancellation: safe.
pub async fn broker_list<T: Browse>(
    transport: &T,
    dead_letter_queue: &QueueName,
    limit: usize,
) -> Result<BrokerListing, TransportError> {
    let mut browser = transport.browse(dead_letter_queue).await?;
    let mut letters = Vec::new();
    while letters.len() < limit
        && let Some(delivery) = browser.get().await?
    {
        letters.push(delivery.into());
    }
    browser.close().await;
    Ok(BrokerListing { letters })
}

/// Moves messages, the oldest first and all of them without a `limit`, from the broker's queue of dead
/// letters to the table of letters: as dead letters, or with `retry` as letters due at once. They leave
/// the queue only when they stand in the table; one that is taken twice after a crash is recognised.
///
/// # Errors
/// A failure of the broker or of the database. What was imported before stays imported.
///
/// Cancellation: a message is in the queue, in the table, or in both; do it again.
pub async fn broker_import<S: ReplicaStore, T: Browse>(
    store: &S,
    transport: &T,
    (queue, dead_letter_queue): (&QueueName, &QueueName),
    limit: Option<usize>,
    retry: bool,
) -> Result<Imported, ImportError> {
    let mut session = store.session().await?;
    let mut browser = transport.browse(dead_letter_queue).await?;
    let mut left = limit.unwrap_or(usize::MAX);
    let mut total = Imported::default();
    loop {
        let (tags, messages) = take(&mut browser, left.min(BATCH)).await?;
        if messages.is_empty() {
            break;
        }
        left -= messages.len();
        let imported = session.letter_import(queue, messages, retry).await?;
        browser.ack(&tags).await?;
        total.new += imported.new;
        total.known += imported.known;
    }
    browser.close().await;
    session.close().await;
    Ok(total)
}

async fn take<B: Browser>(
    browser: &mut B,
    limit: usize,
) -> Result<(Vec<DeliveryTag>, Vec<Incoming>), TransportError> {
    let (mut tags, mut messages) = (Vec::new(), Vec::new());
    while messages.len() < limit
        && let Some(delivery) = browser.get().await?
    {
        tags.push(delivery.tag);
        messages.push(Incoming::new(delivery));
    }
    Ok((tags, messages))
}

/// Which side of an import failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The database.
    #[error("the database took no letters")]
    Store(#[from] StoreError),
    /// The broker.
    #[error("the broker gave no messages")]
    Transport(#[from] TransportError),
}

impl From<Delivery> for BrokerLetter {
    fn from(delivery: Delivery) -> Self {
        let decoded = wire::decode(&delivery.body);
        let (event, unread) = match decoded {
            Ok(event) => (Some(event), None),
            Err(error) => (None, Some(error)),
        };
        let known = event.as_ref();
        let read = |of: fn(&wire::DecodeError) -> Option<String>| unread.as_ref().and_then(of);
        Self {
            message_id: delivery.message_id,
            cqrs_id: known
                .map(|event| event.cqrs_id.to_string())
                .or_else(|| read(|error| error.cqrs_id.clone())),
            instance_pk: known
                .map(|event| event.key.canonical())
                .or_else(|| read(|error| error.instance_pk.clone())),
            signal: known.map(|event| event.signal.as_str()),
            revision: known.map(|event| event.revision.0),
            retries: known.map(|event| event.retries),
            routing_key: delivery.routing_key,
            body: Body::from(&delivery.body[..]),
        }
    }
}

impl fmt::Display for BrokerListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.letters.is_empty() {
            return f.write_str("no dead letters");
        }
        let head = [
            "MODEL",
            "KEY",
            "SIGNAL",
            "REVISION",
            "RETRIES",
            "MESSAGE ID",
        ];
        let mut rows = vec![head.map(ToOwned::to_owned)];
        let known = |text: Option<&str>| {
            text.map_or_else(|| "?".to_owned(), |text| shorten(&plain(text), 40))
        };
        let number = |number: Option<String>| number.unwrap_or_else(|| "?".to_owned());
        rows.extend(self.letters.iter().map(|letter| {
            [
                known(letter.cqrs_id.as_deref()),
                known(letter.instance_pk.as_deref()),
                known(letter.signal),
                number(letter.revision.map(|revision| revision.to_string())),
                number(letter.retries.map(|retries| retries.to_string())),
                letter
                    .message_id
                    .map_or_else(|| "-".to_owned(), |id| id.to_string()),
            ]
        }));
        columns(f, &rows)
    }
}
