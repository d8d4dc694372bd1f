//! Letters as people and programs see them.
//!
//! What came with messages is shown with its control characters escaped, so that no message can play
//! with a terminal.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Letter,
    plain::{columns, plain, shorten, time},
};

/// Letters in short. `Display` is a table, `Serialize` a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Listing {
    /// Each of them.
    pub letters: Vec<Shown>,
}

/// A letter without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// Its number.
    pub id: i64,
    /// What is being done about it.
    pub state: &'static str,
    /// The class of the reason.
    pub reason: String,
    /// The reason in words.
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
    /// The instance that it waits for, where it is known.
    pub waits_for: Option<String>,
    /// The message's identity.
    pub message_id: Option<Uuid>,
    /// How the message came.
    pub routing_key: String,
    /// The model.
    pub cqrs_id: Option<String>,
    /// The canonical key.
    pub instance_pk: Option<String>,
    /// What happened.
    pub signal: Option<String>,
    /// The revision.
    pub revision: Option<i64>,
    /// When the broker's queue of dead letters got it, or had it.
    pub published_at: Option<DateTime<Utc>>,
}

/// A letter with its body. `Display` has a line for each thing known, `Serialize` has everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownWithBody {
    /// All but the body.
    #[serde(flatten)]
    pub letter: Shown,
    /// The body.
    #[serde(flatten)]
    pub body: Body,
}

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Body {
    /// It is text.
    #[serde(rename = "body")]
    Text(String),
    /// It is not: each byte in two digits.
    #[serde(rename = "body_hex")]
    Hex(String),
}

impl From<Vec<Letter>> for Listing {
    fn from(letters: Vec<Letter>) -> Self {
        Self {
            letters: letters.into_iter().map(Shown::from).collect(),
        }
    }
}

impl From<Letter> for Shown {
    fn from(letter: Letter) -> Self {
        Self {
            id: letter.id,
            state: letter.state.as_str(),
            reason: letter.reason,
            error: letter.error,
            fingerprint: letter.fingerprint,
            attempts: letter.attempts,
            next_attempt_at: letter.next_attempt_at,
            created_at: letter.created_at,
            updated_at: letter.updated_at,
            waits_for: letter.waits_for,
            message_id: letter.message_id,
            routing_key: letter.routing_key,
            cqrs_id: letter.cqrs_id,
            instance_pk: letter.instance_pk,
            signal: letter.signal,
            revision: letter.revision,
            published_at: letter.published_at,
        }
    }
}

impl From<Letter> for ShownWithBody {
    fn from(letter: Letter) -> Self {
        let body = Body::from(&letter.body[..]);
        Self {
            letter: letter.into(),
            body,
        }
    }
}

impl From<&[u8]> for Body {
    fn from(body: &[u8]) -> Self {
        match str::from_utf8(body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex(body)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.letters.is_empty() {
            return f.write_str("no letters");
        }
        let head = [
            "ID",
            "STATE",
            "REASON",
            "MODEL",
            "KEY",
            "REVISION",
            "ATTEMPTS",
            "CHANGED",
            "FINGERPRINT",
            "ERROR",
        ];
        let mut rows = vec![head.map(ToOwned::to_owned)];
        let unknown = |text: &Option<String>| {
            text.as_deref()
                .map_or_else(|| "?".to_owned(), |text| shorten(&plain(text), 40))
        };
        rows.extend(self.letters.iter().map(|letter| {
            [
                letter.id.to_string(),
                letter.state.to_owned(),
                plain(&letter.reason),
                unknown(&letter.cqrs_id),
                unknown(&letter.instance_pk),
                letter
                    .revision
                    .map_or_else(|| "?".to_owned(), |revision| revision.to_string()),
                letter.attempts.to_string(),
                time(letter.updated_at),
                letter.fingerprint.clone().unwrap_or_default(),
                shorten(&plain(letter.error.as_deref().unwrap_or_default()), 80),
            ]
        }));
        columns(f, &rows)
    }
}

impl fmt::Display for ShownWithBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { letter: head, body } = self;
        let mut rows = vec![
            ("id", head.id.to_string()),
            ("state", head.state.to_owned()),
            ("reason", plain(&head.reason)),
        ];
        let mut known =
            |name, value: Option<String>| rows.extend(value.map(|value| (name, plain(&value))));
        known("error", head.error.clone());
        known("fingerprint", head.fingerprint.clone());
        known("attempts", Some(head.attempts.to_string()));
        known("next attempt", head.next_attempt_at.map(time));
        known("came", Some(time(head.created_at)));
        known("changed", Some(time(head.updated_at)));
        known("waits for", head.waits_for.clone());
        known("message id", head.message_id.map(|id| id.to_string()));
        known("routing key", Some(head.routing_key.clone()));
        known("model", head.cqrs_id.clone());
        known("key", head.instance_pk.clone());
        known("signal", head.signal.clone());
        known(
            "revision",
            head.revision.map(|revision| revision.to_string()),
        );
        known("published", head.published_at.map(time));
        match body {
            Body::Text(text) => rows.push(("body", plain(text))),
            Body::Hex(hex) => rows.push(("body (hex)", hex.clone())),
        }
        columns(
            f,
            &rows
                .into_iter()
                .map(|(name, value)| [name.to_owned(), value])
                .collect::<Vec<_>>(),
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::LetterState;

    fn letter(body: &'static [u8]) -> Letter {
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        Letter {
            id: 12,
            state: LetterState::Dead,
            reason: "handler".to_owned(),
            error: Some("no such customer\u{1b}[31m".to_owned()),
            fingerprint: None,
            attempts: 3,
            next_attempt_at: None,
            created_at: at,
            updated_at: at,
            waits_for: None,
            message_id: None,
            routing_key: "account".to_owned(),
            body: Bytes::from_static(body),
            cqrs_id: Some("account".to_owned()),
            instance_pk: None,
            signal: Some("SAVE".to_owned()),
            revision: Some(4),
            published_at: None,
        }
    }

    #[test]
    fn a_list_has_a_line_for_each_and_no_control_characters() {
        let text = Listing::from(vec![letter(b"{}"), letter(b"{}")]).to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("12  dead   handler  account  ?    4"),
            "{text}"
        );
        assert!(text.contains("no such customer\\u{1b}[31m"), "{text}");
        assert_eq!(Listing::from(Vec::new()).to_string(), "no letters");
    }

    #[test]
    fn a_body_that_is_no_text_is_shown_in_full() {
        let text = serde_json::to_value(ShownWithBody::from(letter(b"{\"a\":1}"))).unwrap();
        assert_eq!(text["body"], "{\"a\":1}");
        let hex = ShownWithBody::from(letter(b"\xff\x00a"));
        assert_eq!(serde_json::to_value(&hex).unwrap()["body_hex"], "ff0061");
        assert!(hex.to_string().ends_with("body (hex)   ff0061"), "{hex}");
    }
}
