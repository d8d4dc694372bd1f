//! Messages as a master sends them.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{
    Signal,
    transport::{Delivery, DeliveryTag, Headers},
    wire::format_updated,
};
use cqrs_replica::Incoming;
use uuid::Uuid;

/// The longest body that is read.
const LONGEST: usize = 16 << 20;

/// A message to be.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) signal: Signal,
    pub(super) cqrs_id: &'static str,
    /// JSON.
    pub(super) key: String,
    pub(super) revision: i64,
    /// Seconds on the master's clock.
    pub(super) at: i64,
    /// The members of the data, as JSON.
    pub(super) data: String,
    pub(super) counted: bool,
    pub(super) forced: bool,
    pub(super) id: Option<Uuid>,
    /// JSON.
    pub(super) expires: String,
    /// JSON.
    pub(super) previous: String,
    /// JSON.
    pub(super) meta: String,
    pub(super) retries: u32,
    /// How it comes, if not by broadcast.
    pub(super) routing_key: Option<String>,
    /// Instead of all this.
    pub(super) body: Option<Vec<u8>>,
}

impl Message {
    pub(super) fn new(signal: Signal, cqrs_id: &'static str, key: &str, revision: i64) -> Self {
        Self {
            signal,
            cqrs_id,
            key: key.to_owned(),
            revision,
            at: revision,
            data: String::new(),
            counted: true,
            forced: false,
            id: None,
            expires: "null".to_owned(),
            previous: "null".to_owned(),
            meta: "{}".to_owned(),
            retries: 0,
            routing_key: None,
            body: None,
        }
    }

    pub(super) fn save(cqrs_id: &'static str, key: &str, revision: i64, data: &str) -> Self {
        Self {
            data: data.to_owned(),
            ..Self::new(Signal::Save, cqrs_id, key, revision)
        }
    }

    pub(super) fn sync(cqrs_id: &'static str, key: &str, revision: i64, data: &str) -> Self {
        Self {
            data: data.to_owned(),
            ..Self::new(Signal::Sync, cqrs_id, key, revision)
        }
    }

    pub(super) fn delete(cqrs_id: &'static str, key: &str, revision: i64) -> Self {
        Self {
            data: format!("\"id\":{key}"),
            ..Self::new(Signal::Delete, cqrs_id, key, revision)
        }
    }

    /// A body that is no event.
    pub(super) fn raw(body: &[u8]) -> Self {
        Self {
            body: Some(body.to_vec()),
            ..Self::new(Signal::Save, "account", "1", 0)
        }
    }

    pub(super) fn at(self, at: i64) -> Self {
        Self { at, ..self }
    }

    pub(super) fn id(self, id: u128) -> Self {
        Self {
            id: Some(Uuid::from_u128(id)),
            ..self
        }
    }

    /// As django-cqrs sends it.
    pub(super) fn django(self) -> Self {
        Self {
            counted: false,
            ..self
        }
    }

    /// To be applied over a later revision.
    pub(super) fn forced(self) -> Self {
        Self {
            forced: true,
            ..self
        }
    }

    pub(super) fn expires(self, time: &str) -> Self {
        Self {
            expires: format!("\"{time}\""),
            ..self
        }
    }

    pub(super) fn previous(self, data: &str) -> Self {
        Self {
            previous: data.to_owned(),
            ..self
        }
    }

    pub(super) fn meta(self, meta: &str) -> Self {
        Self {
            meta: meta.to_owned(),
            ..self
        }
    }

    pub(super) fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// To one queue alone.
    pub(super) fn direct(self, queue: &str) -> Self {
        let routing_key = Some(format!("cqrs.{queue}.{}", self.cqrs_id));
        Self {
            routing_key,
            ..self
        }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        if let Some(body) = &self.body {
            return body.clone();
        }
        let updated = format_updated(time(self.at));
        let comma = if self.data.is_empty() { "" } else { "," };
        format!(
            "{{\"signal_type\":\"{}\",\"cqrs_id\":\"{}\",\"instance_data\":{{{}{comma}\
             \"cqrs_revision\":{},\"cqrs_updated\":\"{updated}\"}},\"previous_data\":{},\
             \"instance_pk\":{},\"correlation_id\":\"c-{}\",\"retries\":{},\"expires\":{},\
             \"meta\":{}}}",
            self.signal,
            self.cqrs_id,
            self.data,
            self.revision,
            self.previous,
            self.key,
            self.revision,
            self.retries,
            self.expires,
            self.meta,
        )
        .into_bytes()
    }

    pub(super) fn incoming(&self) -> Incoming {
        let delivery = Delivery {
            tag: DeliveryTag(1),
            message_id: self.id,
            routing_key: self
                .routing_key
                .clone()
                .unwrap_or_else(|| self.cqrs_id.to_owned()),
            body: Bytes::from(self.body()),
            headers: Headers {
                trace: None,
                counted: self.counted,
                forced: self.forced,
            },
            redelivered: false,
        };
        Incoming::within(delivery, LONGEST)
    }
}

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_323_045 + second, 678_901_000).unwrap()
}

/// An account's save.
pub(super) fn account(key: i64, revision: i64, name: &str) -> Message {
    Message::save(
        "account",
        &key.to_string(),
        revision,
        &format!("\"id\":{key},\"name\":\"{name}\",\"qty\":{revision}"),
    )
}

/// An account's delete.
pub(super) fn gone(key: i64, revision: i64) -> Message {
    Message::delete("account", &key.to_string(), revision)
}
