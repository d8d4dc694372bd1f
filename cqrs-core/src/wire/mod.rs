//! The message body of django-cqrs: nine keys, written and read.
//!
//! | key | type | content |
//! |---|---|---|
//! | `signal_type` | string | `SAVE`, `DELETE` or `SYNC` |
//! | `cqrs_id` | string | the model |
//! | `instance_data` | object | the state, with `cqrs_revision` and `cqrs_updated` |
//! | `previous_data` | object or null | tracked fields before the change |
//! | `instance_pk` | integer, string or array | the key |
//! | `correlation_id` | any | |
//! | `retries` | integer | how often a django-cqrs worker requeued it |
//! | `expires` | string or null | when it loses its worth; null is never |
//! | `meta` | any | |
//!
//! [`BodyTemplate`] is the writing half: everything but revision, time and expiry, which are known
//! only under the lock of the instance's revision. [`decode`] is the reading half, tolerant of all
//! that any version of django-cqrs writes.

mod decode;
mod encode;
mod timestamp;

pub use decode::{DecodeError, Problem, decode};
pub use encode::{BodyTemplate, encode};
pub use timestamp::{format_expires, format_updated, parse_timestamp};

/// The longest body that can be recorded or read at all, in bytes: `RabbitMQ` takes none that is longer,
/// however it is configured. `broker.max_message_bytes` may set a lower limit.
pub const MAX_BODY: usize = 128 * 1024 * 1024;
