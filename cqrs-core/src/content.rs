//! The hash of an instance's content, by which two databases are compared without sending rows.
//!
//! What counts is what the JSON means, not how it is written: the order of members does not count,
//! nor blanks and escapes, nor the spelling of numbers (`1.50`, `1.5` and `15e-1` are one value, and
//! no digit is lost to a float), of times (any of those of [`crate::wire::parse_timestamp`] that has a
//! date and a time of day, by the instant) and of lengths of time in the forms of [`crate::form::duration`], as
//! `PostgreSQL` compares them. Of two members of one name the last counts, as in
//! Python. Values inside JSON columns are treated alike. Everything else differs: `1` and `"1"`,
//! null and a missing member, base64 and UUIDs of another spelling.
//!
//! Two texts that denote one time or one length are one value even in columns of text, so such a difference is not
//! found by hash.
//!
//! `cqrs_revision` and `cqrs_updated` are not content and are left out.

mod canonical;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, str::FromStr};

use sha2::{Digest, Sha256};

use self::canonical::Canonical;

/// The first 128 bits of the SHA-256 of an instance's content.
///
/// In streams and messages it is 32 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub u128);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ContentHash {
    type Err = NoContentHash;

    fn from_str(hex: &str) -> Result<Self, NoContentHash> {
        let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(hex, 16).ok()).flatten();
        number.map(Self).ok_or(NoContentHash)
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash of content is 32 hexadecimal digits")]
pub struct NoContentHash;

/// A text that is no instance's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content is no JSON object: see byte {at}")]
pub struct ContentError {
    /// Where in the text.
    pub at: usize,
}

/// Makes hashes of content; keeps its buffer from one to the next.
#[derive(Debug, Clone, Default)]
pub struct ContentHasher {
    fields: Option<BTreeSet<String>>,
    buffer: Vec<u8>,
}

impl ContentHasher {
    /// Of all fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these fields only, those that both sides have.
    #[must_use]
    pub fn of_fields(fields: BTreeSet<String>) -> Self {
        Self {
            fields: Some(fields),
            buffer: Vec::new(),
        }
    }

    /// The hash of an instance's published fields, which are a JSON object.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub fn hash(&mut self, json: &str) -> Result<ContentHash, ContentError> {
        self.buffer.clear();
        let fields = self.fields.as_ref();
        let counts = |name: &str| {
            name != "cqrs_revision"
                && name != "cqrs_updated"
                && fields.is_none_or(|fields| fields.contains(name))
        };
        Canonical::new(json, &mut self.buffer).content(&counts)?;
        Ok(ContentHash(first_bits(&self.buffer)))
    }
}

fn first_bits(bytes: &[u8]) -> u128 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest[..16]
        .iter()
        .fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}
