//! The shares in which relays and worker lanes divide the instances.

use sha2::{Digest, Sha256};

/// How many slots there are, for ever: slots are stored in tables.
pub const SLOTS: u16 = 64;

/// One of [`SLOTS`] shares. All events of an instance have the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of the instance with this canonical key.
    ///
    /// The low six bits of the first byte of `SHA-256(cqrs_id || 0x00 || key)`, all in UTF-8: a
    /// function that every database we write triggers for can compute by itself.
    #[must_use]
    pub fn of(cqrs_id: &str, canonical_key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(cqrs_id.as_bytes());
        hash.update([0]);
        hash.update(canonical_key.as_bytes());
        Self(u16::from(hash.finalize()[0]) % SLOTS)
    }

    /// The slot with this number.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The slot's number, below [`SLOTS`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// All slots, in order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..SLOTS).map(Self)
    }
}
