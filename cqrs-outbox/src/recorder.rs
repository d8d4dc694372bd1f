//! Recording with settings of one's own.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use cqrs_core::{CqrsId, InstanceKey};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    About, Change, OpenTransaction, Problem, RecordError, Recorded,
    change::{Draft, checked_ttl},
    coalesce,
    entry::{Entry, Written},
    fold::{Folded, distinct, fold},
};

/// A function of the user's that makes a value for an event.
type Function = Arc<dyn Fn(&About<'_>) -> Option<Value> + Send + Sync>;

/// What to say of events that neither their change nor their model says. Cheap to clone; the free
/// functions of this crate record with the default one.
///
/// ```
/// # use std::time::Duration;
/// use cqrs_outbox::Recorder;
/// use serde_json::json;
///
/// let recorder = Recorder::new()
///     .with_ttl(Duration::from_hours(24))
///     .with_meta(|about| Some(json!({"source": "shop", "signal": about.signal().as_str()})))
///     .with_correlation_id(|about| Some(json!(format!("{}-{}", about.cqrs_id(), about.key()))));
/// ```
#[derive(Clone, Default)]
pub struct Recorder {
    meta: Option<Function>,
    correlation_id: Option<Function>,
    pub(crate) ttl: Option<Duration>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("meta", &self.meta.is_some())
            .field("correlation_id", &self.correlation_id.is_some())
            .field("ttl", &self.ttl)
            .finish()
    }
}

impl Recorder {
    /// No meta, no correlation ids, no time to live.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the meta data of events whose change has none and whose model makes none. It must be quick,
    /// and may be called again when a later change of the transaction is folded into the event.
    #[must_use]
    pub fn with_meta(
        mut self,
        meta: impl Fn(&About<'_>) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        self.meta = Some(Arc::new(meta));
        self
    }

    /// Makes the correlation id of events whose change has none, likewise. The place for the id of
    /// the request at hand, from wherever the service keeps it.
    #[must_use]
    pub fn with_correlation_id(
        mut self,
        id: impl Fn(&About<'_>) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        self.correlation_id = Some(Arc::new(id));
        self
    }

    /// How long events are worth sending of which neither change nor model says it.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// As [`crate::record`].
    ///
    /// # Errors
    /// As [`crate::record`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn record<T>(&self, tx: &mut T, change: Change) -> Result<Recorded, RecordError>
    where
        T: OpenTransaction + ?Sized,
    {
        let recorded = self.write(tx, vec![change.into_draft()?], true).await?;
        Ok(recorded.first().copied().unwrap_or(Recorded::Filtered))
    }

    /// As [`crate::record_all`].
    ///
    /// # Errors
    /// As [`crate::record_all`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn record_all<T>(
        &self,
        tx: &mut T,
        changes: impl IntoIterator<Item = Change> + Send,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction + ?Sized,
    {
        self.write(tx, drafts(changes)?, true).await
    }

    /// As [`crate::record_each`].
    ///
    /// # Errors
    /// As [`crate::record_each`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn record_each<T>(
        &self,
        tx: &mut T,
        changes: impl IntoIterator<Item = Change> + Send,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction + ?Sized,
    {
        let drafts = drafts(changes)?;
        let produced = drafts.iter().filter(|draft| draft.produced);
        distinct(produced.map(|draft| (draft.message_id, &draft.cqrs_id, &draft.instance_pk)))?;
        let mut recorded = Vec::with_capacity(drafts.len());
        for wave in waves(drafts) {
            recorded.extend(self.write(tx, wave, false).await?);
        }
        Ok(recorded)
    }

    /// As [`crate::record_current`].
    ///
    /// # Errors
    /// As [`crate::record_current`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn record_current<T, F, E>(
        &self,
        tx: &mut T,
        cqrs_id: &str,
        key: impl Into<InstanceKey>,
        read: F,
    ) -> Result<Recorded, RecordError>
    where
        T: OpenTransaction,
        F: AsyncFnOnce(&mut T) -> Result<Change, E>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let read = async |tx: &mut T, _: &[InstanceKey]| Ok::<_, E>(vec![read(tx).await?]);
        let keys = vec![key.into()];
        let recorded = self.record_current_all(tx, cqrs_id, keys, read).await?;
        Ok(recorded.first().copied().unwrap_or(Recorded::Filtered))
    }

    /// As [`crate::record_current_all`].
    ///
    /// # Errors
    /// As [`crate::record_current_all`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn record_current_all<T, F, E>(
        &self,
        tx: &mut T,
        cqrs_id: &str,
        keys: Vec<InstanceKey>,
        read: F,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction,
        F: AsyncFnOnce(&mut T, &[InstanceKey]) -> Result<Vec<Change>, E>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let pks = checked(cqrs_id, &keys)?;
        if pks.is_empty() {
            return Ok(Vec::new());
        }
        let made = tx.lock(cqrs_id, &pks).await?;
        let changes = read(tx, &keys).await;
        // They were there to be locked. Whoever waits for one waits for this transaction, so that
        // the first event of each is revision 0 as ever. After a failure the transaction may be of
        // no use any more, so what this says then does not matter.
        let unmade = if made.is_empty() {
            Ok(())
        } else {
            tx.unmake(cqrs_id, &made).await
        };
        let drafts = match changes {
            Ok(changes) => drafts(changes)?,
            Err(error) => return Err(T::read_error(error.into())),
        };
        unmade?;
        for draft in &drafts {
            if draft.cqrs_id.as_str() != cqrs_id || !pks.contains(&draft.instance_pk) {
                return Err(RecordError::invalid(
                    cqrs_id,
                    &pks[0],
                    Problem::OtherInstance {
                        field: "state",
                        cqrs_id: draft.cqrs_id.to_string(),
                        instance_pk: draft.instance_pk.clone(),
                    },
                ));
            }
        }
        self.write(tx, drafts, true).await
    }

    pub(crate) fn meta(&self, about: &About<'_>) -> Option<Value> {
        self.meta.as_ref().and_then(|meta| meta(about))
    }

    pub(crate) fn correlation_id(&self, about: &About<'_>) -> Option<Value> {
        self.correlation_id.as_ref().and_then(|id| id(about))
    }

    /// Writes changes, those of one instance as one event; with `coalesce` together with what this
    /// transaction has recorded of it before.
    async fn write<T>(
        &self,
        tx: &mut T,
        drafts: Vec<Draft>,
        coalesce: bool,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction + ?Sized,
    {
        let folded = self.fold(drafts, tx.command())?;
        self.write_folded(tx, &folded, coalesce).await
    }

    /// Makes events of changes, and checks all that can be checked before anything is written.
    ///
    /// Without a say of the change or of this recorder, a command's id is the correlation id.
    pub(crate) fn fold(
        &self,
        mut drafts: Vec<Draft>,
        command: Option<Uuid>,
    ) -> Result<Folded, RecordError> {
        if let Some(id) = command.filter(|_| self.correlation_id.is_none()) {
            for draft in &mut drafts {
                let given = draft.correlation_id.take();
                draft.correlation_id = given.or_else(|| Some(format!("\"{id}\"")));
            }
        }
        if let Some(ttl) = self.ttl {
            let invalid = |problem| match drafts.first() {
                Some(draft) => draft.invalid(problem),
                None => RecordError::invalid("", "", problem),
            };
            checked_ttl(ttl).map_err(invalid)?;
        }
        fold(drafts, self)
    }

    /// Writes what [`Self::fold`] has made.
    pub(crate) async fn write_folded<T>(
        &self,
        tx: &mut T,
        folded: &Folded,
        coalesce: bool,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction + ?Sized,
    {
        if folded.entries.is_empty() {
            return Ok(answers(folded, &[], vec![None; folded.entry_of.len()]));
        }
        let answer = tx.write(&folded.entries, coalesce).await?;
        let mut recorded: Vec<Option<Recorded>> = vec![None; folded.entry_of.len()];
        if !answer.again.is_empty() {
            let leads = |entry: &Entry| entry.leads && answer.again.contains(&entry.message_id);
            let groups = folded.entries.iter().zip(&folded.group_of);
            let groups: Vec<usize> = groups
                .filter(|(entry, _)| leads(entry))
                .map(|(_, group)| *group)
                .collect();
            coalesce::again(tx, self, folded, &groups, &mut recorded).await?;
        }
        Ok(answers(folded, &answer.written, recorded))
    }
}

/// The answers to all changes: those known, and those of what was written at once.
fn answers(folded: &Folded, written: &[Written], known: Vec<Option<Recorded>>) -> Vec<Recorded> {
    let by_id: HashMap<_, _> = written.iter().map(|row| (row.message_id, row)).collect();
    let mut of_entry: Vec<Option<Recorded>> = vec![None; folded.entries.len()];
    known
        .into_iter()
        .zip(&folded.entry_of)
        .map(|(known, &at)| {
            let Some(at) = at else {
                return Recorded::not_produced();
            };
            known.unwrap_or_else(|| {
                *of_entry[at].get_or_insert_with(|| {
                    let entry = &folded.entries[at];
                    match by_id.get(&entry.message_id) {
                        Some(row) => Recorded::event(entry, row.id, row.revision),
                        None => Recorded::filtered(entry),
                    }
                })
            })
        })
        .collect()
}

fn drafts(changes: impl IntoIterator<Item = Change>) -> Result<Vec<Draft>, RecordError> {
    changes.into_iter().map(Change::into_draft).collect()
}

/// Runs of changes in which no instance comes twice.
fn waves(drafts: Vec<Draft>) -> Vec<Vec<Draft>> {
    let mut waves: Vec<Vec<Draft>> = Vec::new();
    let mut seen: HashSet<(CqrsId, String)> = HashSet::new();
    for draft in drafts {
        let name = (draft.cqrs_id.clone(), draft.instance_pk.clone());
        if waves.is_empty() || seen.contains(&name) {
            waves.push(Vec::new());
            seen.clear();
        }
        seen.insert(name);
        if let Some(wave) = waves.last_mut() {
            wave.push(draft);
        }
    }
    waves
}

/// The canonical texts of keys, each once.
fn checked(cqrs_id: &str, keys: &[InstanceKey]) -> Result<Vec<String>, RecordError> {
    let mut pks = Vec::with_capacity(keys.len());
    for key in keys {
        let instance_pk = key.canonical();
        let invalid = |problem: Problem| RecordError::invalid(cqrs_id, &instance_pk, problem);
        CqrsId::new(cqrs_id).map_err(|error| invalid(error.into()))?;
        key.check().map_err(|error| invalid(error.into()))?;
        pks.push(instance_pk);
    }
    pks.sort_unstable();
    pks.dedup();
    Ok(pks)
}
