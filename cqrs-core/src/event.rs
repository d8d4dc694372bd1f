//! One change of one instance, as a replica sees it.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::{CqrsId, InstanceKey, Revision, Signal, json::Object};

/// A decoded message body.
///
/// Values stay the JSON text they came as, so that no number is rounded on its way into a table.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub signal: Signal,
    /// The model.
    pub cqrs_id: CqrsId,
    /// The instance.
    pub key: InstanceKey,
    /// The instance's revision, from `instance_data`.
    pub revision: Revision,
    /// When the master made this state, from `instance_data`.
    pub updated: DateTime<Utc>,
    /// `instance_data`: the whole state for a save or sync; for a delete the id and custom data.
    /// `cqrs_revision` and `cqrs_updated` are among its members.
    pub data: Object,
    /// The tracked fields' values before this change.
    pub previous: Option<Object>,
    /// The master's correlation id, whatever its type.
    pub correlation_id: Option<Box<RawValue>>,
    /// How often a django-cqrs worker has requeued the message.
    pub retries: u32,
    /// When the message loses its worth. `None`: never.
    pub expires: Option<DateTime<Utc>>,
    /// The master's meta data.
    pub meta: Option<Box<RawValue>>,
}

impl Event {
    /// The data as a type of the caller's.
    ///
    /// # Errors
    /// What serde says of the difference.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.data.parse()
    }

    /// The correlation id without JSON quotes, for logs.
    #[must_use]
    pub fn correlation(&self) -> Option<String> {
        let raw = self.correlation_id.as_deref()?.get();
        Some(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
    }
}
