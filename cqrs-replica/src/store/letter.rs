//! Letters as the database keeps them.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A row of `cqrs_dead_letter`.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// What is being done about it.
    pub state: LetterState,
    /// The class of the reason, in one word:
    ///
    /// | word | what happened |
    /// |---|---|
    /// | `unreadable` | the body is no event |
    /// | `missing_column` | a column must have a value, and the data has none for it |
    /// | `missing_field` | the data lacks a field that the model's `columns` names |
    /// | `type` | a column's type does not take the value |
    /// | `too_long` | the value is too long for the column |
    /// | `constraint` | a unique, check, exclusion or not-null constraint is violated |
    /// | `reference` | a foreign key is violated: a row is missing, or still there |
    /// | `expired` | the message's time to live was over |
    /// | `handler`, `parked`, `panic` | the handler failed, gave up, or panicked |
    /// | `gap` | the revision before it has not come |
    /// | `unknown_model` | no worker knows the model |
    /// | `schema` | the table is not as the model needs it |
    /// | `imported` | it was found in the broker's queue of dead letters |
    /// | `database` | anything else that the database said |
    pub reason: String,
    /// The reason in words, with its causes.
    pub error: Option<String>,
    /// Equal for letters that failed in the same way.
    pub fingerprint: Option<String>,
    /// How often it has failed.
    pub attempts: u32,
    /// When it is looked at again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it came.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// The instance that it waits for, where it is known: `cqrs_id`, a space, the canonical key.
    pub waits_for: Option<String>,
    /// The message's identity, where its sender gave one.
    pub message_id: Option<Uuid>,
    /// How the message came.
    pub routing_key: String,
    /// The message's body, byte by byte.
    pub body: Bytes,
    /// The model, where it could be read.
    pub cqrs_id: Option<String>,
    /// The instance, where it could be read.
    pub instance_pk: Option<String>,
    /// The signal, where it could be read.
    pub signal: Option<String>,
    /// The revision, where it could be read.
    pub revision: Option<i64>,
    /// When the broker's queue of dead letters got it, or had it.
    pub published_at: Option<DateTime<Utc>>,
}

/// Which letters: those that meet all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LetterFilter {
    /// In this state.
    pub state: Option<LetterState>,
    /// Of this model.
    pub cqrs_id: Option<String>,
    /// Of this class of reasons; see [`Letter::reason`].
    pub reason: Option<String>,
    /// That failed in this way; see [`Letter::fingerprint`].
    pub fingerprint: Option<String>,
}

/// Letters in one state that failed in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterGroup {
    /// What is being done about them.
    pub state: LetterState,
    /// The class of the reason; see [`Letter::reason`].
    pub reason: String,
    /// The model, where it is known.
    pub cqrs_id: Option<String>,
    /// See [`Letter::fingerprint`].
    pub fingerprint: Option<String>,
    /// The error of one of them.
    pub error: Option<String>,
    /// How many there are.
    pub count: u64,
    /// How many of them wait for their first attempt since a retry was ordered.
    pub untried: u64,
    /// When the first one came.
    pub first_at: DateTime<Utc>,
    /// When the last one came.
    pub last_at: DateTime<Utc>,
}

/// What is being done about a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LetterState {
    /// It waits for something else to come.
    Waiting,
    /// It is tried again.
    Retrying,
    /// Nothing, until someone does.
    Dead,
    /// Nothing any more: a newer state has been applied.
    Superseded,
    /// Nothing any more: someone discarded it.
    Discarded,
    /// Nothing any more: it was applied in the end.
    Resolved,
}

impl LetterState {
    /// The word used in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
            Self::Discarded => "discarded",
            Self::Resolved => "resolved",
        }
    }
}
