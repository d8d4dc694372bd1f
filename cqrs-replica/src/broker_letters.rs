//! Letters that go to the broker's queue of dead letters, and that come from it.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::Incoming;

/// A dead letter that the broker's queue of dead letters is to have.
#[derive(Debug, Clone)]
pub struct UnpublishedLetter {
    /// Its number.
    pub id: i64,
    /// How often it has failed.
    pub attempts: u32,
    /// When the message came.
    pub created_at: DateTime<Utc>,
    /// The message.
    pub incoming: Incoming,
}

/// How many messages were imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Those that are letters now.
    pub new: u64,
    /// Those that were letters before.
    pub known: u64,
}

/// A message's id; one made of its body where its sender gave none, so that it can be told that it
/// has been here before.
pub(crate) fn identity(incoming: &Incoming) -> Uuid {
    incoming.message_id.unwrap_or_else(|| {
        let hash = Sha256::digest(&incoming.body);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Builder::from_custom_bytes(bytes).into_uuid()
    })
}
