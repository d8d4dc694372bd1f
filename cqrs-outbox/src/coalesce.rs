//! Changes of an instance that this transaction has recorded before.
//!
//! Its events so far are folded once more, with the new changes behind them, and their rows are
//! replaced: nobody else has seen them. A life that began in this transaction and ends in it leaves
//! nothing. The rows are found by the revision that this transaction has raised; what a savepoint
//! took back is not there.

use std::collections::HashMap;

use cqrs_core::{CqrsId, Revision, StoreError, wire};
use serde_json::value::RawValue;

use crate::{
    OpenTransaction, RecordError, Recorded, Recorder,
    change::{Draft, Ttl, draft},
    entry::{Earlier, Place, Restated, Unstamped},
    fold::{Folded, Group, Outcome, Sum, Total},
    master::Tracked,
};

/// Records the changes of these groups together with what was recorded of their instances before,
/// and says so of each change.
pub(crate) async fn again<T>(
    tx: &mut T,
    recorder: &Recorder,
    folded: &Folded,
    groups: &[usize],
    answers: &mut [Option<Recorded>],
) -> Result<(), RecordError>
where
    T: OpenTransaction + ?Sized,
{
    let groups: Vec<&Group> = groups.iter().map(|&at| &folded.groups[at]).collect();
    let names: Vec<(&CqrsId, &str)> = groups.iter().filter_map(|group| group.name()).collect();
    let mut earlier: HashMap<(String, String), Vec<Earlier>> = HashMap::new();
    for row in tx.earlier(&names).await? {
        let name = (row.cqrs_id.clone(), row.instance_pk.clone());
        earlier.entry(name).or_default().push(row);
    }
    let mut instances = Vec::with_capacity(groups.len());
    for (group, (cqrs_id, instance_pk)) in groups.into_iter().zip(names) {
        let name = (cqrs_id.to_string(), instance_pk.to_owned());
        let rows = earlier.remove(&name).unwrap_or_default();
        instances.push(Whole::new(group, cqrs_id, instance_pk, &rows, recorder)?);
    }
    let restated: Vec<Restated<'_>> = instances.iter().map(Whole::restated).collect();
    let gone: Vec<Place> = instances.iter().flat_map(|i| i.gone.clone()).collect();
    let mut totals: Vec<&Total> = Vec::new();
    let mut rows = Vec::new();
    for (at, instance) in instances.iter().enumerate() {
        for total in &instance.totals {
            totals.push(total);
            rows.push(Unstamped {
                instance: at,
                id: total.place.map(|place| place.id),
                entry: &total.entry,
                revision: instance.revision,
            });
        }
    }
    let ids = tx.rewrite(&restated, &gone, &rows).await?;
    for ((total, row), id) in totals.into_iter().zip(&rows).zip(ids) {
        let event = match row.id {
            Some(_) => Recorded::coalesced(row.entry, id, row.revision),
            None => Recorded::event(row.entry, id, row.revision),
        };
        for &member in &total.members {
            answers[member] = Some(event);
        }
    }
    for instance in instances.iter().filter(|instance| instance.undone) {
        for (member, draft) in &instance.group.0 {
            answers[*member] = Some(Recorded::undone(draft));
        }
    }
    Ok(())
}

impl Group {
    /// The instance. A group is never empty.
    fn name(&self) -> Option<(&CqrsId, &str)> {
        let (_, draft) = self.0.first()?;
        Some((&draft.cqrs_id, &draft.instance_pk))
    }
}

/// An instance with all that this transaction says of it.
struct Whole<'g> {
    group: &'g Group,
    cqrs_id: &'g str,
    instance_pk: &'g str,
    revision: Revision,
    totals: Vec<Total>,
    /// Rows that nothing takes the place of.
    gone: Vec<Place>,
    deleted: bool,
    undone: bool,
}

impl<'g> Whole<'g> {
    fn new(
        group: &'g Group,
        cqrs_id: &'g CqrsId,
        instance_pk: &'g str,
        earlier: &[Earlier],
        recorder: &Recorder,
    ) -> Result<Self, RecordError> {
        let Some(first) = earlier.first() else {
            let problem = "its revision was raised in this transaction and its event is gone";
            return Err(StoreError::Backend(problem.into()).into());
        };
        let drafts: Vec<Draft> = earlier.iter().map(resumed).collect::<Result<_, _>>()?;
        let mut sum = Sum::default();
        for (draft, row) in drafts.iter().zip(earlier) {
            sum.add(None, draft, Some(row.place));
        }
        for (index, draft) in &group.0 {
            sum.add(Some(*index), draft, None);
        }
        let deleted = matches!(sum.outcome, Outcome::Delete | Outcome::Drop);
        let undone = deleted && earlier.iter().any(|row| row.began);
        let (totals, gone) = if undone {
            (Vec::new(), earlier.iter().map(|row| row.place).collect())
        } else {
            (
                sum.totals(recorder).map_err(RecordError::together)?,
                sum.gone,
            )
        };
        Ok(Self {
            group,
            cqrs_id: cqrs_id.as_str(),
            instance_pk,
            revision: first.revision,
            totals,
            gone,
            deleted,
            undone,
        })
    }

    fn restated(&self) -> Restated<'_> {
        Restated {
            cqrs_id: self.cqrs_id,
            instance_pk: self.instance_pk,
            deleted: self.deleted,
            undone: self.undone,
        }
    }
}

/// The change that an event was made of, as far as it matters to what comes after.
fn resumed(row: &Earlier) -> Result<Draft, RecordError> {
    let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| {
        RecordError::from(StoreError::Corrupt {
            table: "cqrs_outbox",
            column: "body",
            source,
        })
    };
    let event = wire::decode(&row.body).map_err(|error| corrupt(error.into()))?;
    let text = |raw: Option<Box<RawValue>>| {
        raw.map_or_else(|| "null".to_owned(), |raw| raw.get().to_owned())
    };
    let mut data = event.data;
    data.remove("cqrs_revision");
    data.remove("cqrs_updated");
    let problem = |problem| RecordError::invalid(&row.cqrs_id, &row.instance_pk, problem);
    let mut draft = draft(&row.cqrs_id, event.key, row.signal, Tracked::None).map_err(problem)?;
    draft.message_id = row.place.message_id;
    draft.queue.clone_from(&row.queue);
    draft.trace.clone_from(&row.trace);
    draft.forced = row.forced;
    draft.previous = event.previous;
    // It says what it said: no function is asked again.
    draft.correlation_id = Some(text(event.correlation_id));
    draft.meta = Some(text(event.meta));
    draft.ttl = match row.expires_at {
        None => Ttl::Never,
        Some(at) => Ttl::At(at),
    };
    if row.signal == cqrs_core::Signal::Delete {
        draft.custom = data.get("custom").map(|raw| raw.get().to_owned());
    } else {
        draft.data = Some(data.to_json());
    }
    Ok(draft)
}
