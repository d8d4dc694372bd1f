//! Reading bodies.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{MAX_BODY, parse_timestamp};
use crate::{
    CqrsId, CqrsIdError, Event, InstanceKey, KeyError, Revision, UnknownSignal,
    json::{NotJson, Object, normalise},
};

/// Reads a body of any version of django-cqrs, or of ours.
///
/// Tolerated: unknown keys; the keys that older versions did not send (`previous_data`,
/// `correlation_id`, `retries`, `expires`, `meta`); duplicate keys, of which the last counts;
/// `NaN`, `Infinity` and lone surrogates, see [`normalise`]; integers of any size, which are kept
/// digit by digit; a `retries` that is no count, which is read as 0.
///
/// # Errors
/// Anything else is a [`DecodeError`], which knows as much of model and instance as could be read.
pub fn decode(body: &[u8]) -> Result<Event, DecodeError> {
    if body.len() > MAX_BODY {
        return Err(DecodeError::unreadable(Problem::TooLong {
            len: body.len(),
        }));
    }
    let text = normalise(body).map_err(|e| DecodeError::unreadable(Problem::NotText(e)))?;
    let body =
        Object::from_json(&text).map_err(|e| DecodeError::unreadable(Problem::NotAnObject(e)))?;
    read(&body).map_err(|problem| DecodeError {
        problem,
        cqrs_id: member(&body, "cqrs_id").and_then(|raw| string(raw, "cqrs_id").ok()),
        instance_pk: member(&body, "instance_pk")
            .and_then(|raw| InstanceKey::from_json(raw).ok())
            .map(|key| key.canonical()),
    })
}

fn read(body: &Object) -> Result<Event, Problem> {
    let signal = string(required(body, "signal_type")?, "signal_type")?.parse()?;
    let cqrs_id = CqrsId::new(&string(required(body, "cqrs_id")?, "cqrs_id")?)?;
    let key = InstanceKey::from_json(required(body, "instance_pk")?)?;
    let data = object(required(body, "instance_data")?, "instance_data")?;
    let revision = data
        .get("cqrs_revision")
        .ok_or(Problem::Missing("cqrs_revision"))?;
    let revision = revision.get().parse().map_err(|_| Problem::Malformed {
        key: "cqrs_revision",
        expected: "an integer",
    })?;
    let updated = data
        .get("cqrs_updated")
        .ok_or(Problem::Missing("cqrs_updated"))?;
    let updated = timestamp(updated, "cqrs_updated")?;
    let expires = member(body, "expires")
        .map(|raw| timestamp(raw, "expires"))
        .transpose()?;
    let previous = member(body, "previous_data")
        .map(|raw| object(raw, "previous_data"))
        .transpose()?;
    Ok(Event {
        signal,
        cqrs_id,
        key,
        revision: Revision(revision),
        updated,
        data,
        previous,
        correlation_id: member(body, "correlation_id").map(ToOwned::to_owned),
        retries: member(body, "retries")
            .and_then(|raw| raw.get().parse().ok())
            .unwrap_or(0),
        expires,
        meta: member(body, "meta").map(ToOwned::to_owned),
    })
}

/// A member that is there and not null.
fn member<'a>(body: &'a Object, key: &str) -> Option<&'a RawValue> {
    body.get(key).filter(|raw| raw.get() != "null")
}

fn required<'a>(body: &'a Object, key: &'static str) -> Result<&'a RawValue, Problem> {
    body.get(key).ok_or(Problem::Missing(key))
}

fn string(raw: &RawValue, key: &'static str) -> Result<String, Problem> {
    serde_json::from_str(raw.get()).map_err(|_| Problem::Malformed {
        key,
        expected: "a string",
    })
}

fn object(raw: &RawValue, key: &'static str) -> Result<Object, Problem> {
    Object::from_json(raw.get()).map_err(|_| Problem::Malformed {
        key,
        expected: "an object",
    })
}

fn timestamp(raw: &RawValue, key: &'static str) -> Result<DateTime<Utc>, Problem> {
    let text: Option<String> = serde_json::from_str(raw.get()).ok();
    text.as_deref()
        .and_then(parse_timestamp)
        .ok_or(Problem::Malformed {
            key,
            expected: "a date and time",
        })
}

/// A body that cannot be applied by anyone.
#[derive(Debug, thiserror::Error)]
#[error("the message cannot be read")]
pub struct DecodeError {
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
    /// The model, where that could be read.
    pub cqrs_id: Option<String>,
    /// The instance's canonical key, where that could be read.
    pub instance_pk: Option<String>,
}

impl DecodeError {
    const fn unreadable(problem: Problem) -> Self {
        Self {
            problem,
            cqrs_id: None,
            instance_pk: None,
        }
    }
}

/// What is wrong with a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Longer than is accepted.
    #[error("the body is {len} bytes long, the limit is {MAX_BODY}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not UTF-8.
    #[error(transparent)]
    NotText(#[from] NotJson),
    /// Not JSON, or JSON but no object.
    #[error("the body is not a JSON object")]
    NotAnObject(#[source] serde_json::Error),
    /// A key that every version sends.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value of another type.
    #[error("`{key}` is not {expected}")]
    Malformed {
        /// The key.
        key: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A signal of another kind.
    #[error(transparent)]
    Signal(#[from] UnknownSignal),
    /// A `cqrs_id` that no model can have.
    #[error(transparent)]
    CqrsId(#[from] CqrsIdError),
    /// A key that no instance can have.
    #[error("`instance_pk` is unusable")]
    Key(#[from] KeyError),
}
