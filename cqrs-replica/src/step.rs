//! One event of a table model with hooks, and the table's default for it.

use std::{fmt, future::Future, pin::Pin};

use cqrs_core::{Event, Signal, json::Object};
use serde_json::value::RawValue;

use crate::{
    Failure, ReplicaStore,
    apply::Failed,
    letter::Fault,
    table::{Row, TablePlan, TableWrites},
};

/// An event as its table sees it: what a hook is given.
pub struct Step<'e, S: ReplicaStore> {
    event: &'e Event,
    creates: bool,
    plan: &'e TablePlan,
    /// Whether the event may fail for the sake of this plan.
    recent: bool,
    writer: &'e dyn WriteTable<S>,
    data: Object,
    previous: Option<Object>,
}

impl<'e, S: ReplicaStore> Step<'e, S> {
    pub(crate) fn new(
        event: &'e Event,
        creates: bool,
        (plan, recent): (&'e TablePlan, bool),
        writer: &'e dyn WriteTable<S>,
    ) -> Self {
        Self {
            event,
            creates,
            plan,
            recent,
            writer,
            data: plan.mapped(event),
            previous: event
                .previous
                .as_ref()
                .map(|previous| plan.mapped_members(previous)),
        }
    }

    /// The event as it came: its signal, key, revision, correlation id, and its data as the master
    /// calls it. A delete's custom data is under `custom` there.
    #[must_use]
    pub const fn event(&self) -> &Event {
        self.event
    }

    /// Whether it states once more what the master holds, rather than tell of a change.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        self.event.signal == Signal::Sync
    }

    pub(crate) const fn creates(&self) -> bool {
        self.creates
    }

    /// The data by the table's columns: those of the key, then those that the model's mapping, or
    /// their names, give a value. A delete has the key's alone.
    #[must_use]
    pub const fn data(&self) -> &Object {
        &self.data
    }

    /// [`Self::data`] as a type of the caller's.
    ///
    /// # Errors
    /// What serde says of the difference.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.data.parse()
    }

    /// What the tracked fields held before this change, by the table's columns.
    #[must_use]
    pub const fn previous(&self) -> Option<&Object> {
        self.previous.as_ref()
    }

    /// The master's meta data.
    #[must_use]
    pub fn meta(&self) -> Option<&RawValue> {
        self.event.meta.as_deref()
    }

    /// The table's default for a save or sync: one upsert.
    ///
    /// # Errors
    /// What the table does not take is the event's failure, with the same reason as without hooks;
    /// a database that went away is nobody's. Hand it on with `?`.
    ///
    /// Cancellation: the transaction must be given up.
    pub async fn save(&self, tx: &mut S::Connection) -> Result<(), Failure> {
        if self.event.signal == Signal::Delete {
            return Err(Failure::park("a delete has no state to save"));
        }
        self.upsert(tx, self.plan.row(self.event)).await
    }

    /// The same with other data, by the table's columns; what is not in it is left as with
    /// [`Self::save`]. The row stays that of the event's key, whatever the data says.
    ///
    /// # Errors
    /// As for [`Self::save`]; also a member that names no column.
    ///
    /// Cancellation: the transaction must be given up.
    pub async fn save_as(&self, tx: &mut S::Connection, data: &Object) -> Result<(), Failure> {
        self.upsert(tx, self.plan.row_of(&self.event.key, data))
            .await
    }

    /// The table's default for a delete.
    ///
    /// # Errors
    /// As for [`Self::save`].
    ///
    /// Cancellation: the transaction must be given up.
    pub async fn delete(&self, tx: &mut S::Connection) -> Result<(), Failure> {
        if let Err(fault) = self.plan.check_key(&self.event.key) {
            return Err(self.judged(fault));
        }
        let writes = TableWrites {
            deletes: vec![&self.event.key],
            ..TableWrites::default()
        };
        self.write(tx, &writes).await
    }

    async fn upsert(
        &self,
        tx: &mut S::Connection,
        row: Result<Row<'_>, Fault>,
    ) -> Result<(), Failure> {
        let row = row.map_err(|fault| self.judged(fault))?;
        let writes = TableWrites {
            rows: vec![row],
            ..TableWrites::default()
        };
        self.write(tx, &writes).await
    }

    async fn write(&self, tx: &mut S::Connection, writes: &TableWrites<'_>) -> Result<(), Failure> {
        let written = self.writer.write(tx, self.plan, writes).await;
        written.map_err(|failed| Failure::Retry(Box::new(DefaultFailed::Refused(failed))))
    }

    /// What the plan, rather than the database, refuses.
    fn judged(&self, fault: Fault) -> Failure {
        let failed = if self.recent {
            DefaultFailed::Judged(fault)
        } else {
            DefaultFailed::Refused(Failed::Outdated)
        };
        Failure::Retry(Box::new(failed))
    }
}

impl<S: ReplicaStore> fmt::Debug for Step<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("event", &self.event)
            .field("creates", &self.creates)
            .finish_non_exhaustive()
    }
}

/// A database's way of writing rows inside a handler's savepoint.
pub trait WriteTable<S: ReplicaStore>: Send + Sync {
    /// See [`Work::write`](crate::apply::Work::write).
    fn write<'a>(
        &'a self,
        connection: &'a mut S::Connection,
        plan: &'a TablePlan,
        writes: &'a TableWrites<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>>;
}

/// The table's default, on its way through a hook to whoever called that.
#[derive(Debug, thiserror::Error)]
#[error("the table did not take the event")]
pub(crate) enum DefaultFailed {
    /// The data does not fit the table; nothing was tried.
    Judged(Fault),
    /// It was tried. The transaction must be given up.
    Refused(Failed),
}
