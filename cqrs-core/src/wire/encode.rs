//! Writing bodies.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{format_expires, format_updated};
use crate::{CqrsId, Event, InstanceKey, Revision, Signal, json::Object};

/// A body without its revision, its time and its expiry.
///
/// The whole body is `head`, the revision's digits, `,"cqrs_updated":"`, the time, `middle`, the
/// expiry (`null` or a quoted time), `tail`. A database can put it together in the statement that
/// raises the revision, see [`BodyTemplate::splice`] for the same in Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyTemplate {
    /// Up to and including `"cqrs_revision":`.
    pub head: String,
    /// From the quote that ends the time up to and including `"expires":`.
    pub middle: String,
    /// From the comma after the expiry to the end.
    pub tail: String,
}

/// What a body says of an instance, all values as JSON text.
#[derive(Debug)]
struct Parts<'a> {
    signal: Signal,
    cqrs_id: &'a CqrsId,
    key: &'a InstanceKey,
    members: &'a str,
    previous: Option<&'a str>,
    correlation_id: Option<&'a str>,
    retries: u32,
    meta: Option<&'a str>,
}

/// What is put between the revision and the time.
const UPDATED: &str = ",\"cqrs_updated\":\"";

impl BodyTemplate {
    /// A body that says `data` is the state of the instance.
    ///
    /// All texts must be strict JSON and `data` an object without the members `cqrs_revision` and
    /// `cqrs_updated`; the caller has checked that.
    #[must_use]
    pub fn state(
        signal: Signal,
        cqrs_id: &CqrsId,
        key: &InstanceKey,
        data: &str,
        previous: Option<&str>,
    ) -> Self {
        Self::new(&Parts {
            signal,
            cqrs_id,
            key,
            members: object_members(data),
            previous,
            correlation_id: None,
            retries: 0,
            meta: Some("{}"),
        })
    }

    /// A body that says the instance is gone. django-cqrs wants the key under `id`, whatever the
    /// key column is called, and reads only `custom` besides.
    #[must_use]
    pub fn delete(cqrs_id: &CqrsId, key: &InstanceKey, custom: Option<&str>) -> Self {
        let mut members = format!("\"id\":{}", key.to_json());
        if let Some(custom) = custom {
            members.push_str(",\"custom\":");
            members.push_str(custom);
        }
        Self::new(&Parts {
            signal: Signal::Delete,
            cqrs_id,
            key,
            members: &members,
            previous: None,
            correlation_id: None,
            retries: 0,
            meta: Some("{}"),
        })
    }

    fn new(parts: &Parts<'_>) -> Self {
        let quoted_id = serde_json::to_string(parts.cqrs_id.as_str()).expect("text serialises");
        let comma = if parts.members.is_empty() { "" } else { "," };
        Self {
            head: format!(
                "{{\"signal_type\":\"{}\",\"cqrs_id\":{quoted_id},\"instance_data\":{{{}{comma}\
                 \"cqrs_revision\":",
                parts.signal, parts.members,
            ),
            middle: format!(
                "\"}},\"previous_data\":{},\"instance_pk\":{},\"correlation_id\":{},\
                 \"retries\":{},\"expires\":",
                parts.previous.unwrap_or("null"),
                parts.key.to_json(),
                parts.correlation_id.unwrap_or("null"),
                parts.retries,
            ),
            tail: format!(",\"meta\":{}}}", parts.meta.unwrap_or("null")),
        }
    }

    /// Sets the correlation id, as JSON text.
    #[must_use]
    pub fn with_correlation_id(mut self, json: &str) -> Self {
        const UNSET: &str = ",\"correlation_id\":null,\"retries\":0,\"expires\":";
        if let Some(kept) = self.middle.strip_suffix(UNSET) {
            self.middle = format!("{kept},\"correlation_id\":{json},\"retries\":0,\"expires\":");
        }
        self
    }

    /// Sets the meta data, as JSON text.
    #[must_use]
    pub fn with_meta(mut self, json: &str) -> Self {
        self.tail = format!(",\"meta\":{json}}}");
        self
    }

    /// How long the body becomes, at most.
    #[must_use]
    pub fn max_len(&self) -> usize {
        // 19 digits of revision, 32 characters of time, 27 of expiry with its quotes.
        self.head.len() + 19 + UPDATED.len() + 32 + self.middle.len() + 27 + self.tail.len()
    }

    /// Puts the body together.
    #[must_use]
    pub fn splice(
        &self,
        revision: Revision,
        updated: DateTime<Utc>,
        expires: Option<DateTime<Utc>>,
    ) -> String {
        let mut body = String::with_capacity(self.max_len());
        body.push_str(&self.head);
        body.push_str(&revision.to_string());
        body.push_str(UPDATED);
        body.push_str(&format_updated(updated));
        body.push_str(&self.middle);
        match expires {
            None => body.push_str("null"),
            Some(time) => {
                body.push('"');
                body.push_str(&format_expires(time));
                body.push('"');
            }
        }
        body.push_str(&self.tail);
        body
    }
}

/// Writes an event that was decoded: what the tools that forward one send.
#[must_use]
pub fn encode(event: &Event) -> String {
    let mut data = event.data.clone();
    data.remove("cqrs_revision");
    let updated = data.remove("cqrs_updated");
    let data = data.to_json();
    let text = |raw: &Option<Box<RawValue>>| raw.as_deref().map(|raw| raw.get().to_owned());
    let template = BodyTemplate::new(&Parts {
        signal: event.signal,
        cqrs_id: &event.cqrs_id,
        key: &event.key,
        members: object_members(&data),
        previous: event.previous.as_ref().map(Object::to_json).as_deref(),
        correlation_id: text(&event.correlation_id).as_deref(),
        retries: event.retries,
        meta: text(&event.meta).as_deref(),
    });
    // The time as it came, whatever its spelling.
    let updated = updated.map_or_else(
        || format_updated(event.updated),
        |raw| serde_json::from_str(raw.get()).unwrap_or_else(|_| format_updated(event.updated)),
    );
    let expires = event.expires.map_or_else(
        || "null".to_owned(),
        |time| format!("\"{}\"", format_expires(time)),
    );
    let BodyTemplate { head, middle, tail } = template;
    format!(
        "{head}{}{UPDATED}{updated}{middle}{expires}{tail}",
        event.revision
    )
}

/// What stands between the braces of an object's text.
fn object_members(json: &str) -> &str {
    json.trim()
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .map_or("", str::trim)
}
