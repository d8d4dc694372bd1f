//! What a replica asks a master's relay by the broker, and what it is told.
//!
//! A question goes to [`question_key`] of its model, which no peer of django-cqrs binds; the answer comes
//! to the queue of the asking process, in parts. Both are JSON with a version.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    CqrsId, CqrsIdError, QueueName, QueueNameError, content::ContentHash, transport::TEMPORARY,
};

/// The version of the messages.
pub const VERSION: u32 = 1;

/// How often someone who has much to read says that he is at it, in seconds.
pub const WORKING_EVERY: u64 = 2;

/// About how many bytes a part of an answer holds.
pub const PART: usize = 256 * 1024;

/// The routing key of questions about a model.
///
/// # Errors
/// The model's name is so long that the key is too long.
pub fn question_key(cqrs_id: &CqrsId) -> Result<CqrsId, CqrsIdError> {
    CqrsId::new(&format!("cqrs-reconcile.{cqrs_id}"))
}

/// The queue that the relays of a master share, whose models these are. Queues belong to no exchange,
/// so its name is part of theirs.
///
/// # Errors
/// None: the name is short.
pub fn question_queue(exchange: &str, cqrs_ids: &[CqrsId]) -> Result<QueueName, QueueNameError> {
    let names: Vec<&str> = cqrs_ids.iter().map(CqrsId::as_str).collect();
    let hash = Sha256::digest(format!("{exchange}\n{}", names.join("\n")));
    let digits: Vec<String> = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    QueueName::new(&format!("{TEMPORARY}reconcile.{}", digits.concat()))
}

/// The queue of the answers to one process.
///
/// # Errors
/// None: the name is short.
pub fn answer_queue(process: Uuid) -> Result<QueueName, QueueNameError> {
    QueueName::new(&format!("{TEMPORARY}reconcile-answer.{}", process.simple()))
}

/// The routing key of the answers to one process.
///
/// # Errors
/// None: the name is short.
pub fn answer_key(process: Uuid) -> Result<CqrsId, CqrsIdError> {
    CqrsId::new(&format!("cqrs-reconcile-answer.{}", process.simple()))
}

/// A question.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    /// [`VERSION`].
    pub version: u32,
    /// Which one: answers name it.
    pub id: Uuid,
    /// The routing key of the answers.
    pub answer_to: String,
    /// The model.
    pub cqrs_id: String,
    /// How many rows a second are to be read at most.
    pub rate: Option<u32>,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// What is published of the model.
    Model,
    /// The sums of all rows.
    Ranges {
        /// Of these fields.
        fields: BTreeSet<String>,
        /// In so many ranges.
        count: u32,
    },
    /// The rows of some ranges.
    Rows {
        /// By these fields.
        fields: BTreeSet<String>,
        /// Of so many ranges.
        count: u32,
        /// These.
        ranges: BTreeSet<u32>,
    },
    /// What there is of instances.
    Instances {
        /// Their keys.
        keys: Vec<Box<RawValue>>,
    },
    /// Direct syncs of instances.
    SendAgain {
        /// To this queue.
        queue: String,
        /// Their keys.
        keys: Vec<Box<RawValue>>,
        /// Whether replicas take them over a later revision.
        forced: bool,
    },
}

/// A part of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`].
    pub version: u32,
    /// The question's.
    pub id: Uuid,
    /// Whether more parts follow.
    pub more: bool,
    /// What is told.
    pub told: Told,
}

/// What is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It takes its time.
    Working,
    /// What is published of the model.
    Model {
        /// The fields.
        fields: BTreeSet<String>,
        /// About how many rows there are.
        rows: u64,
    },
    /// Sums of ranges, in order: how many rows, and the sum.
    Ranges(Vec<(u64, Hex)>),
    /// Rows: key, revision, hash of the content.
    Rows(Vec<(Box<RawValue>, i64, Hex)>),
    /// Instances.
    Instances(Vec<ToldInstance>),
    /// So many syncs were recorded.
    Sent(u64),
    /// It cannot be answered.
    Failed(String),
}

/// What a master has of an instance.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToldInstance {
    /// Its canonical key.
    pub instance_pk: String,
    /// Its revision.
    pub revision: Option<i64>,
    /// What is published of it.
    pub data: Option<String>,
    /// Whether an event of it waits in the outbox.
    pub pending: bool,
}

/// 128 bits as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex(pub u128);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&ContentHash(self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash: Result<ContentHash, _> = text.parse();
        hash.map(|hash| Self(hash.0))
            .map_err(serde::de::Error::custom)
    }
}
