//! A model that is replicated.

use std::time::Duration;

use cqrs_core::{InstanceKey, Signal};
use serde::Serialize;
use serde_json::Value;

use crate::About;

/// A model whose changes are recorded.
///
/// ```
/// use cqrs_outbox::{InstanceKey, Master, Tracked};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Account {
///     id: i64,
///     name: String,
///     status: String,
/// }
///
/// impl Master for Account {
///     const CQRS_ID: &'static str = "account";
///     const TRACKED: Tracked = Tracked::Fields(&["status"]);
///
///     fn key(&self) -> InstanceKey {
///         self.id.into()
///     }
///
///     fn data(&self) -> impl Serialize {
///         self
///     }
/// }
/// ```
pub trait Master {
    /// The name under which the model travels.
    const CQRS_ID: &'static str;

    /// The fields whose old values travel with a change; see
    /// [`Change::previous`](crate::Change::previous).
    const TRACKED: Tracked = Tracked::None;

    /// Whether changes are published at all. If not, [`record`](crate::record) writes nothing,
    /// raises no revision, and answers [`Recorded::NotProduced`](crate::Recorded::NotProduced).
    const PRODUCE: bool = true;

    /// How long an event is worth sending, if nothing else is said of it. `None`: for ever.
    const TTL: Option<Duration> = None;

    /// Which instance this is.
    fn key(&self) -> InstanceKey;

    /// The state that replicas get: anything that serialises to a JSON object. The members
    /// `cqrs_revision` and `cqrs_updated` are added and must not be there. Floats that are not
    /// finite become null.
    fn data(&self) -> impl Serialize;

    /// Whether replicas are to have this instance at all. Any change of one that they should not
    /// have is recorded as a delete if they have it, and is nothing otherwise.
    fn should_sync(&self) -> bool {
        true
    }

    /// What travels in `meta`, made of what is known of the event. `None`: what the
    /// [`Recorder`](crate::Recorder) says, or an empty object.
    #[must_use]
    fn meta(about: &About<'_>) -> Option<Value> {
        let _ = about;
        None
    }

    /// What a delete carries under `custom`. `None`: no such member. Called on the last state there is.
    /// `signal` is what happened: a delete, or a save or sync of an instance that replicas should not
    /// have (any more); `before` the state before, of a [`Change::updated`](crate::Change::updated).
    fn delete_data(&self, signal: Signal, before: Option<&Self>) -> Option<Value>
    where
        Self: Sized,
    {
        let _ = (signal, before);
        None
    }
}

/// The fields whose old values travel with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tracked {
    /// None.
    #[default]
    None,
    /// All of [`Master::data`].
    All,
    /// These members of [`Master::data`].
    Fields(&'static [&'static str]),
}
