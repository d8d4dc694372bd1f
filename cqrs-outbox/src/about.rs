//! What the user's own functions are told of an event that is about to be recorded.

use cqrs_core::{CqrsId, InstanceKey, QueueName, Signal, json::Object};

/// An event that is about to be recorded, as [`Master::meta`](crate::Master::meta) and the functions
/// of a [`Recorder`](crate::Recorder) see it: what all changes of the instance in this
/// transaction, as far as they become one event, add up to.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub(crate) signal: Signal,
    pub(crate) cqrs_id: &'a CqrsId,
    pub(crate) key: &'a InstanceKey,
    pub(crate) queue: Option<&'a QueueName>,
    /// The state's text; of a delete nothing.
    pub(crate) data: Option<&'a str>,
    /// The text of what a delete carries.
    pub(crate) custom: Option<&'a str>,
    pub(crate) previous: Option<&'a Object>,
}

impl About<'_> {
    /// What will be sent. A change that the model's filter keeps from replicas is a delete here.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// The model's name.
    #[must_use]
    pub fn cqrs_id(&self) -> &str {
        self.cqrs_id.as_str()
    }

    /// Which instance.
    #[must_use]
    pub const fn key(&self) -> &InstanceKey {
        self.key
    }

    /// The one queue that a sync is for.
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        self.queue.map(QueueName::as_str)
    }

    /// The state, parsed at each call; of a delete its key as `id`, and `custom`.
    #[must_use]
    pub fn data(&self) -> Object {
        let text = match (self.data, self.custom) {
            (Some(data), _) => return Object::from_json(data).unwrap_or_default(),
            (None, None) => format!("{{\"id\":{}}}", self.key.to_json()),
            (None, Some(custom)) => {
                format!("{{\"id\":{},\"custom\":{custom}}}", self.key.to_json())
            }
        };
        Object::from_json(&text).unwrap_or_default()
    }

    /// The old values of tracked fields, if the change was told of the state before.
    #[must_use]
    pub const fn previous(&self) -> Option<&Object> {
        self.previous
    }
}
