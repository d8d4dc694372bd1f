//! A change of an instance, ready to be recorded.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs_core::{CqrsId, InstanceKey, QueueName, Signal, TraceContext, json::Object};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{About, Master, Problem, RecordError, Recorder, Tracked, entry::Life, previous};

/// What happened to an instance. Owned: the state is serialised when the change is made, so the
/// model may change or go before it is recorded. The first thing that is wrong with it is kept and
/// comes back from [`record`](crate::record), before anything is written.
///
/// ```
/// # use cqrs_core::Signal;
/// # use cqrs_outbox::Change;
/// # use std::time::Duration;
/// let change = Change::json("account", 42, Signal::Save, serde_json::json!({"status": "open"}))
///     .previous_json(serde_json::json!({"status": "new"}))
///     .expires_in(Duration::from_secs(3600));
/// ```
#[derive(Debug)]
#[must_use = "a change is nothing until it is recorded"]
pub struct Change(Result<Draft, RecordError>);

/// A change that has passed its checks so far. All JSON is text.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) message_id: Uuid,
    pub(crate) cqrs_id: CqrsId,
    pub(crate) key: InstanceKey,
    pub(crate) instance_pk: String,
    pub(crate) signal: Signal,
    /// Its model is published.
    pub(crate) produced: bool,
    /// What the model's filter says of it.
    pub(crate) filter: Filtered,
    /// The state; of a delete nothing.
    pub(crate) data: Option<String>,
    /// What a delete carries, also one that a filter makes.
    pub(crate) custom: Option<String>,
    pub(crate) tracked: Tracked,
    pub(crate) previous: Option<Object>,
    pub(crate) queue: Option<QueueName>,
    pub(crate) forced: bool,
    pub(crate) ttl: Ttl,
    pub(crate) correlation_id: Option<String>,
    pub(crate) meta: Option<String>,
    /// What makes the meta data if none were given.
    pub(crate) meta_of: MetaOf,
    pub(crate) trace: Option<TraceContext>,
}

/// What a model's filter says of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// It is for replicas.
    Passes,
    /// Not for replicas: deletes what they have, or is nothing.
    Out,
    /// Not for replicas, and it was before: deletes what they may have, recorded or not.
    Leaves,
}

/// [`Master::meta`] of the model.
pub(crate) type MetaOf = fn(&About<'_>) -> Option<Value>;

/// How long an event is worth sending.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ttl {
    /// As the recorder says.
    Default,
    /// For ever.
    Never,
    /// This long.
    In(Duration),
    /// Until then: of an event that is recorded already.
    At(DateTime<Utc>),
}

/// The longest time to live: years that every date form of the wire can write.
const MAX_TTL: Duration = Duration::from_hours(100 * 366 * 24);

impl Change {
    /// The instance was created or changed, and this is its state.
    pub fn saved<M: Master>(model: &M) -> Self {
        Self::of_model(model, Signal::Save, None)
    }

    /// The instance was changed from one state to another: [`Self::saved`] with [`Self::previous`], and
    /// [`Master::delete_data`] sees both if replicas should not have the instance any more.
    pub fn updated<M: Master>(before: &M, after: &M) -> Self {
        Self::of_model(after, Signal::Save, Some(before)).previous(before)
    }

    /// The instance is gone; this is what it was. Only its key and [`Master::delete_data`] are sent.
    pub fn deleted<M: Master>(model: &M) -> Self {
        Self::of_model(model, Signal::Delete, None)
    }

    /// The instance has not changed, its state is only sent again, under the revision it has.
    pub fn synced<M: Master>(model: &M) -> Self {
        Self::of_model(model, Signal::Sync, None)
    }

    /// A change of something that has no [`Master`]. Of a delete, `data` is the custom data, null
    /// for none. All members are tracked, no filter applies.
    pub fn json(
        cqrs_id: &str,
        key: impl Into<InstanceKey>,
        signal: Signal,
        data: impl Serialize,
    ) -> Self {
        let key = key.into();
        let instance_pk = key.canonical();
        let draft = draft(cqrs_id, key, signal, Tracked::All).and_then(|mut draft| {
            if signal == Signal::Delete {
                draft.custom = Some(json("custom", &data)?).filter(|text| text != "null");
            } else {
                draft.data = Some(state(&data)?);
            }
            Ok(draft)
        });
        Self(draft.map_err(|problem| RecordError::invalid(cqrs_id, &instance_pk, problem)))
    }

    fn of_model<M: Master>(model: &M, signal: Signal, before: Option<&M>) -> Self {
        let key = model.key();
        let instance_pk = key.canonical();
        let draft = draft(M::CQRS_ID, key, signal, M::TRACKED).and_then(|mut draft| {
            draft.produced = M::PRODUCE;
            if !M::PRODUCE {
                return Ok(draft);
            }
            if !model.should_sync() {
                draft.filter = Filtered::Out;
            }
            if signal == Signal::Delete || draft.filtered() {
                draft.custom = model
                    .delete_data(signal, before)
                    .map(|data| json("custom", &data))
                    .transpose()?;
            } else {
                draft.data = Some(state(&model.data())?);
            }
            draft.meta_of = M::meta;
            if let Some(ttl) = M::TTL {
                draft.ttl = Ttl::In(checked_ttl(ttl)?);
            }
            Ok(draft)
        });
        Self(draft.map_err(|problem| RecordError::invalid(M::CQRS_ID, &instance_pk, problem)))
    }

    /// The state before, of which the tracked fields that changed are sent with their old values.
    /// Without it, and always with a delete, `previous_data` is null.
    pub fn previous<M: Master>(self, before: &M) -> Self {
        self.and(|draft| {
            let other = before.key().canonical();
            if M::CQRS_ID != draft.cqrs_id.as_str() || other != draft.instance_pk {
                return Err(Problem::OtherInstance {
                    field: "previous",
                    cqrs_id: M::CQRS_ID.to_owned(),
                    instance_pk: other,
                });
            }
            if draft.filtered() && before.should_sync() {
                draft.filter = Filtered::Leaves;
            }
            if draft.tracked == Tracked::None {
                return Ok(());
            }
            draft.set_previous(&json("previous", &before.data())?)
        })
    }

    /// The state before as JSON, see [`Self::previous`].
    pub fn previous_json(self, before: impl Serialize) -> Self {
        self.and(|draft| draft.set_previous(&json("previous", &before)?))
    }

    /// Sends a sync to one replica's queue only. Anything else is refused: the other replicas would
    /// never see that revision.
    pub fn to_queue(self, queue: &str) -> Self {
        self.and(|draft| {
            if draft.signal != Signal::Sync {
                return Err(Problem::QueueWithoutSync);
            }
            draft.queue = Some(QueueName::new(queue)?);
            Ok(())
        })
    }

    /// Replicas take this sync even where they know a later revision: the way back for one that has
    /// gone ahead, say of a master restored from a backup. What was deleted there stays deleted.
    /// Anything but a sync is refused.
    pub fn forced(self) -> Self {
        self.and(|draft| {
            if draft.signal != Signal::Sync {
                return Err(Problem::ForcedWithoutSync);
            }
            draft.forced = true;
            Ok(())
        })
    }

    /// How long the event is worth sending, instead of what the model says. On the wire it ends
    /// with a whole second, rounded up.
    pub fn expires_in(self, ttl: Duration) -> Self {
        self.and(|draft| {
            draft.ttl = Ttl::In(checked_ttl(ttl)?);
            Ok(())
        })
    }

    /// The event never loses its worth, whatever model and recorder say.
    pub fn never_expires(self) -> Self {
        self.and(|draft| {
            draft.ttl = Ttl::Never;
            Ok(())
        })
    }

    /// What travels in `meta`, instead of what the model says.
    pub fn meta(self, meta: impl Serialize) -> Self {
        self.and(|draft| {
            draft.meta = Some(json("meta", &meta)?);
            Ok(())
        })
    }

    /// What ties this event to others, in logs here and at the replicas.
    pub fn correlation_id(self, id: impl Serialize) -> Self {
        self.and(|draft| {
            draft.correlation_id = Some(json("correlation_id", &id)?);
            Ok(())
        })
    }

    /// What a delete carries under `custom`, instead of what the model says.
    pub fn custom(self, data: impl Serialize) -> Self {
        self.and(|draft| {
            if draft.signal != Signal::Delete {
                return Err(Problem::CustomWithoutDelete);
            }
            draft.custom = Some(json("custom", &data)?);
            Ok(())
        })
    }

    /// The trace this change belongs to, a `traceparent`. One that is malformed is left out, as
    /// its recommendation demands: it may come from outside and must not fail the change.
    pub fn trace(self, traceparent: &str) -> Self {
        self.and(|draft| {
            draft.trace = traceparent.parse().ok();
            Ok(())
        })
    }

    /// The event's identity, instead of a new one. Unique: no other event may have it, so an id of
    /// something that has several events (a request, a command) will not do. A call that gives it to
    /// two events is refused.
    pub fn message_id(self, id: Uuid) -> Self {
        self.and(|draft| {
            draft.message_id = id;
            Ok(())
        })
    }

    /// The change, unless something is wrong with it already.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn checked(self) -> Result<Self, RecordError> {
        self.0.map(|draft| Self(Ok(draft)))
    }

    pub(crate) fn into_draft(self) -> Result<Draft, RecordError> {
        self.0
    }

    fn and(self, change: impl FnOnce(&mut Draft) -> Result<(), Problem>) -> Self {
        Self(self.0.and_then(|mut draft| match change(&mut draft) {
            Ok(()) => Ok(draft),
            Err(problem) => Err(draft.invalid(problem)),
        }))
    }
}

impl Draft {
    pub(crate) fn invalid(&self, problem: Problem) -> RecordError {
        RecordError::invalid(self.cqrs_id.as_str(), &self.instance_pk, problem)
    }

    /// Whether it is not for replicas.
    pub(crate) fn filtered(&self) -> bool {
        self.filter != Filtered::Passes
    }

    /// The state as an object; of a delete, or a filtered change, an empty one.
    pub(crate) fn object(&self) -> Object {
        let data = self.data.as_deref().unwrap_or("{}");
        // It was checked to be an object; what is inside was written by serde.
        Object::from_json(data).unwrap_or_default()
    }

    /// How long the event is worth sending.
    pub(crate) fn life(&self, recorder: &Recorder) -> Life {
        match self.ttl {
            Ttl::Default => recorder.ttl.map_or(Life::Endless, Life::In),
            Ttl::Never => Life::Endless,
            Ttl::In(ttl) => Life::In(ttl),
            Ttl::At(time) => Life::Until(time),
        }
    }

    /// The meta data as JSON: what the change, the model or the recorder says, in this order.
    pub(crate) fn meta(
        &self,
        about: &About<'_>,
        recorder: &Recorder,
    ) -> Result<Option<String>, RecordError> {
        if self.meta.is_some() {
            return Ok(self.meta.clone());
        }
        (self.meta_of)(about)
            .or_else(|| recorder.meta(about))
            .map(|meta| json("meta", &meta).map_err(|problem| self.invalid(problem)))
            .transpose()
    }

    /// The correlation id as JSON: what the change or the recorder says, in this order.
    pub(crate) fn correlation_id(
        &self,
        about: &About<'_>,
        recorder: &Recorder,
    ) -> Result<Option<String>, RecordError> {
        if self.correlation_id.is_some() {
            return Ok(self.correlation_id.clone());
        }
        recorder
            .correlation_id(about)
            .map(|id| json("correlation_id", &id).map_err(|problem| self.invalid(problem)))
            .transpose()
    }

    fn set_previous(&mut self, before: &str) -> Result<(), Problem> {
        let before =
            Object::from_json(before).map_err(|_| Problem::NotAnObject { field: "previous" })?;
        self.previous = match self.data {
            None => None,
            Some(_) => previous::changed(self.tracked, &before, &self.object()),
        };
        Ok(())
    }
}

pub(crate) fn draft(
    cqrs_id: &str,
    key: InstanceKey,
    signal: Signal,
    tracked: Tracked,
) -> Result<Draft, Problem> {
    let cqrs_id = CqrsId::new(cqrs_id)?;
    key.check()?;
    Ok(Draft {
        message_id: new_id(),
        cqrs_id,
        instance_pk: key.canonical(),
        key,
        signal,
        produced: true,
        filter: Filtered::Passes,
        data: None,
        custom: None,
        tracked,
        previous: None,
        queue: None,
        forced: false,
        ttl: Ttl::Default,
        correlation_id: None,
        meta: None,
        meta_of: |_| None,
        trace: None,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that mints the ids of events"
)]
fn new_id() -> Uuid {
    Uuid::now_v7()
}

fn json(field: &'static str, value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|source| Problem::NotJson { field, source })
}

/// The state as the text of an object without the members that the framework adds.
pub(crate) fn state(data: &impl Serialize) -> Result<String, Problem> {
    let text = json("data", data)?;
    if !text.trim_start().starts_with('{') {
        return Err(Problem::NotAnObject { field: "data" });
    }
    // Parsing costs as much as writing did, so it is left out where no name can be reserved. A
    // backslash may spell one in raw JSON.
    if text.contains("\"cqrs_") || text.contains("\\u") {
        let object = Object::from_json(&text).map_err(|source| Problem::NotJson {
            field: "data",
            source,
        })?;
        for member in ["cqrs_revision", "cqrs_updated"] {
            if object.get(member).is_some() {
                return Err(Problem::Reserved { member });
            }
        }
    }
    Ok(text)
}

pub(crate) fn checked_ttl(ttl: Duration) -> Result<Duration, Problem> {
    let in_range = ttl >= Duration::from_micros(1) && ttl <= MAX_TTL;
    if in_range {
        Ok(ttl)
    } else {
        Err(Problem::TimeToLive)
    }
}
