//! Letters: messages that could not be applied yet, or at all.

use std::{error::Error, fmt::Write as _, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::CqrsId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Applied, Incoming, LetterState, SkipReason, WaitReason, apply::InstanceId};

/// The class of a letter's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Unreadable,
    MissingColumn,
    MissingField,
    Type,
    TooLong,
    Constraint,
    Reference,
    Expired,
    Handler,
    Parked,
    Panic,
    Gap,
    UnknownModel,
    Schema,
    Database,
    Imported,
    Paused,
}

impl Reason {
    pub(crate) const ALL: [Self; 17] = [
        Self::Unreadable,
        Self::MissingColumn,
        Self::MissingField,
        Self::Type,
        Self::TooLong,
        Self::Constraint,
        Self::Reference,
        Self::Expired,
        Self::Handler,
        Self::Parked,
        Self::Panic,
        Self::Gap,
        Self::UnknownModel,
        Self::Schema,
        Self::Database,
        Self::Imported,
        Self::Paused,
    ];

    /// The word used in tables, metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::MissingColumn => "missing_column",
            Self::MissingField => "missing_field",
            Self::Type => "type",
            Self::TooLong => "too_long",
            Self::Constraint => "constraint",
            Self::Reference => "reference",
            Self::Expired => "expired",
            Self::Handler => "handler",
            Self::Parked => "parked",
            Self::Panic => "panic",
            Self::Gap => "gap",
            Self::UnknownModel => "unknown_model",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Imported => "imported",
            Self::Paused => "paused",
        }
    }

    /// The class of a stored word; one that a newer program wrote counts as the database's.
    pub(crate) fn parse(word: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .unwrap_or(Self::Database)
    }
}

impl LetterState {
    /// The state of a stored word; one that a newer program wrote counts as dead.
    pub(crate) fn parse(word: &str) -> Self {
        [
            Self::Waiting,
            Self::Retrying,
            Self::Superseded,
            Self::Discarded,
            Self::Resolved,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
        .unwrap_or(Self::Dead)
    }
}

/// Why a message was not applied, and what comes next.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) reason: Reason,
    /// The reason in words, with its causes.
    pub(crate) error: String,
    /// What the error is about in this one message; letters that differ in it failed in the same way.
    pub(crate) detail: Option<String>,
    /// The constraint that was violated, where the database names one.
    pub(crate) constraint: Option<Box<Violated>>,
    /// Whether another row has a value that must be unique.
    pub(crate) unique: bool,
    /// The instance whose coming, or going, the row waits for, where it is known.
    pub(crate) waits_for: Option<InstanceId>,
    pub(crate) then: Then,
}

/// A constraint as an error names it.
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "SQLite says itself what it can")
)]
#[derive(Debug, Clone)]
pub struct Violated {
    /// Its table, as SQL.
    pub(crate) table: String,
    pub(crate) name: String,
}

/// What comes after a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// Another attempt after the model's backoff.
    Backoff,
    /// Another attempt after this long.
    After(Duration),
    /// Nothing.
    Dead,
    /// Another attempt soon: it was not the message's fault, and does not count.
    Aside,
    /// The same, when the table can be written, unless it is the message alone that fails.
    Table,
    /// The same, when the model goes on, which is paused.
    Held,
    /// Another attempt, which does not count, when the row has come that it refers to.
    Wait,
}

impl Fault {
    pub(crate) fn new(reason: Reason, error: impl Into<String>) -> Self {
        Self {
            reason,
            error: error.into(),
            detail: None,
            constraint: None,
            unique: false,
            waits_for: None,
            then: Then::Backoff,
        }
    }

    pub(crate) fn dead(reason: Reason, error: impl Into<String>) -> Self {
        Self {
            then: Then::Dead,
            ..Self::new(reason, error)
        }
    }

    /// The row refers to one that is not there, or is referred to by one that still is.
    pub(crate) fn reference(error: impl Into<String>) -> Self {
        Self {
            then: Then::Wait,
            ..Self::new(Reason::Reference, error)
        }
    }

    /// The database would not take it, for no fault of its own that is known.
    pub(crate) fn aside(error: impl Into<String>) -> Self {
        Self {
            then: Then::Aside,
            ..Self::new(Reason::Database, error)
        }
    }

    /// Whether it is for the sake of other rows.
    pub(crate) fn is_obstruction(&self) -> bool {
        self.unique || self.reason == Reason::Reference
    }

    /// The table takes nothing, as far as can be told from one message.
    pub(crate) fn table(error: impl Into<String>) -> Self {
        Self {
            then: Then::Table,
            ..Self::new(Reason::Schema, error)
        }
    }

    /// The error with all that is known of it.
    pub(crate) fn in_full(&self) -> String {
        match &self.detail {
            Some(detail) => storable(&format!("{}: {detail}", self.error)),
            None => self.error.clone(),
        }
    }
}

/// A letter to be written: what was decided about a message, which is kept beside it.
#[derive(Debug)]
pub struct Verdict {
    pub(crate) state: LetterState,
    pub(crate) reason: Reason,
    pub(crate) error: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    /// Of a wait for a row: which one, where it is known, and until when.
    pub(crate) waits_for: Option<String>,
    pub(crate) waits_until: Option<DateTime<Utc>>,
}

/// How a letter names the instance that it waits for.
pub(crate) fn waited_for((cqrs_id, key): &InstanceId) -> String {
    // A cqrs_id has no spaces.
    format!("{cqrs_id} {key}")
}

impl Verdict {
    /// What a message answers that is kept like this.
    pub(crate) const fn answer(&self) -> Applied {
        answer(self.state, self.reason, self.attempts)
    }
}

/// A message to keep, with what could be read of it.
#[derive(Debug)]
pub struct NewLetter<'m> {
    pub(crate) incoming: &'m Incoming,
    pub(crate) verdict: &'m Verdict,
    pub(crate) cqrs_id: Option<String>,
    pub(crate) instance_pk: Option<String>,
    pub(crate) signal: Option<&'static str>,
    pub(crate) revision: Option<i64>,
}

/// A letter taken up to be applied.
#[derive(Debug)]
pub struct TakenLetter {
    pub(crate) id: i64,
    pub(crate) state: LetterState,
    pub(crate) reason: Reason,
    pub(crate) attempts: u32,
    /// When the message came.
    pub(crate) created_at: DateTime<Utc>,
    /// When it is looked at again.
    pub(crate) due_at: DateTime<Utc>,
    /// Of a wait for a row: which one, where it is known, and until when.
    pub(crate) waits_for: Option<String>,
    pub(crate) waits_until: Option<DateTime<Utc>>,
    pub(crate) incoming: Incoming,
}

/// How many bytes are kept of a body that is not stored as a whole.
pub(crate) const BEGINNING: usize = 64 * 1024;

/// What is known of another letter of an instance.
#[derive(Debug, Clone)]
pub struct OtherLetter {
    /// `None`: to be written by this transaction.
    pub(crate) id: Option<i64>,
    pub(crate) state: LetterState,
    pub(crate) reason: Reason,
    pub(crate) attempts: u32,
    pub(crate) message_id: Option<Uuid>,
    pub(crate) revision: Option<i64>,
    /// The message itself, where it may be one of those in hand.
    pub(crate) body: Option<Bytes>,
}

impl OtherLetter {
    /// What the message answers that it keeps.
    pub(crate) const fn answer(&self) -> Applied {
        answer(self.state, self.reason, self.attempts)
    }

    /// What the message answers when it comes once more.
    pub(crate) const fn answer_again(&self) -> Applied {
        match self.state {
            LetterState::Discarded => Applied::Skipped(SkipReason::Duplicate),
            _ => self.answer(),
        }
    }

    /// Whether it keeps this message.
    pub(crate) fn keeps(&self, incoming: &Incoming) -> bool {
        // A master that does not count may give a revision twice, and a careless one an id.
        self.message_id == incoming.message_id
            && self.body.as_ref().is_some_and(|kept| {
                *kept == incoming.body || kept.len() == BEGINNING && incoming.body.starts_with(kept)
            })
    }

    /// Whether something is still to happen to it.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, LetterState::Waiting | LetterState::Retrying)
    }
}

const fn answer(state: LetterState, reason: Reason, attempts: u32) -> Applied {
    match (state, reason) {
        (LetterState::Waiting, Reason::UnknownModel) => Applied::Waiting(WaitReason::UnknownModel),
        (LetterState::Waiting, Reason::Reference) => Applied::Waiting(WaitReason::Reference),
        (LetterState::Waiting, Reason::Paused) => Applied::Waiting(WaitReason::Paused),
        (LetterState::Waiting, _) => Applied::Waiting(WaitReason::Gap),
        (LetterState::Retrying, _) => Applied::Retrying {
            attempts,
            reason: reason.as_str(),
        },
        _ => Applied::Dead {
            reason: reason.as_str(),
        },
    }
}

/// Equal for letters that failed in the same way: numbers in the error do not count.
pub(crate) fn fingerprint(reason: Reason, cqrs_id: Option<&str>, error: &str) -> String {
    let mut normal = String::with_capacity(error.len());
    for c in error.chars() {
        if !c.is_ascii_digit() {
            normal.push(c);
        } else if !normal.ends_with('#') {
            normal.push('#');
        }
    }
    let mut hash = Sha256::new();
    for part in [reason.as_str(), cqrs_id.unwrap_or_default(), &normal] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// An error and its causes in one line.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Many errors repeat their source in their own words.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    storable(&text)
}

/// An identifier of a message that no event has: no longer than those that are indexed. The body has all
/// of it.
pub(crate) fn identifier(text: &str) -> String {
    let text = storable(text);
    let end = text.floor_char_boundary(CqrsId::MAX_LEN);
    text[..end].to_owned()
}

/// Text that a database in any encoding stores, and an index holds.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .take(500)
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect()
}

/// Text as every database stores it: without NUL characters, and no longer than useful.
pub(crate) fn storable(text: &str) -> String {
    text.chars()
        .take(4000)
        .map(|c| if c == '\0' { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_ignores_numbers_and_nothing_else() {
        let of = |error| fingerprint(Reason::Type, Some("account"), error);
        assert_eq!(of("row 17 is bad"), of("row 4 is bad"));
        assert_ne!(of("row 17 is bad"), of("row 17 is worse"));
        assert_ne!(of("x"), fingerprint(Reason::Type, Some("order"), "x"));
        assert_eq!(of("x").len(), 16);
    }

    #[test]
    fn every_reason_reads_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), reason);
        }
    }

    #[test]
    fn an_identifier_is_cut_between_characters() {
        assert_eq!(identifier("account"), "account");
        assert_eq!(identifier(&"\u{20ac}".repeat(50)), "\u{20ac}".repeat(33));
        assert_eq!(plain("a\u{20ac}\0b"), "a??b");
    }

    #[test]
    fn stored_text_has_no_nul() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
    }
}
