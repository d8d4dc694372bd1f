//! From rows of a model's table to instances, the same for all databases.

use std::collections::HashMap;

use chrono::DateTime;
use cqrs_core::{InstanceKey, Revision, StoreError};
use serde_json::value::RawValue;

use super::{
    After, FailedRow, KeyPage, Loader, RowFault, SourcePage, SourceRow, SourceTable, SyncOptions,
    schema,
};
use crate::{Change, reconcile::SourceInstance, source::read_model::synced_data};

/// A row of a [`Select`](super::Select), but for the columns of a type's own code.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) key: String,
    pub(crate) instance_pk: String,
    pub(crate) revision: Option<i64>,
    pub(crate) updated: Option<i64>,
    pub(crate) deleted: Option<bool>,
    pub(crate) place: Option<i64>,
    /// The published state, or why it cannot be read.
    pub(crate) data: Result<Option<String>, RowFault>,
}

/// The revision of an instance and its time in microseconds.
pub(crate) type Stamped = (i64, i64);

/// The instances of a page, some of them without a live revision yet.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    rows: Vec<Candidate>,
    page: SourcePage,
    pub(crate) last: Option<After>,
}

#[derive(Debug)]
struct Candidate {
    key: InstanceKey,
    instance_pk: String,
    state: State,
    data: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Live(Stamped),
    Never,
    Deleted(i64),
}

/// What to do about instances without a live revision.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Never recorded.
    pub(crate) never: Vec<String>,
    /// Recorded as deleted, at this revision.
    pub(crate) deleted: Vec<(String, i64)>,
}

/// What the rows are, as [`Met`] and themselves.
pub(crate) fn candidates<R>(
    table: &SourceTable<R>,
    rows: Vec<(Met, R)>,
    content: bool,
) -> Result<Candidates, StoreError> {
    let mut found = Candidates::default();
    let count = rows.len();
    for (place, (met, row)) in rows.into_iter().enumerate() {
        if place + 1 == count {
            found.last = Some(met.after()?);
        }
        let instance = instance(table, &met, &row).and_then(|instance| match instance {
            Some((key, None)) => Ok(Some((key, met.data?))),
            instance => Ok(instance),
        });
        match instance {
            Err(fault) => found.page.failed.push(FailedRow {
                key: met.key,
                fault,
            }),
            Ok(None) => found.page.filtered += 1,
            Ok(Some((key, data))) => found.rows.push(Candidate {
                key,
                state: match (met.revision, met.updated, met.deleted) {
                    (Some(revision), Some(updated), Some(false)) => {
                        State::Live((revision, updated))
                    }
                    (Some(revision), ..) => State::Deleted(revision),
                    _ => State::Never,
                },
                data: data.filter(|_| content).map(one_line),
                instance_pk: met.instance_pk,
            }),
        }
    }
    Ok(found)
}

/// The instance of a row, with its state if code makes it; `None` if replicas are not to have it.
fn instance<R>(
    table: &SourceTable<R>,
    met: &Met,
    row: &R,
) -> Result<Option<(InstanceKey, Option<String>)>, RowFault> {
    let key = InstanceKey::from_json(&RawValue::from_string(met.key.clone())?)?;
    let Loader::Code(code) = &table.loader else {
        return Ok(Some((key, None)));
    };
    let loaded = (code.published)(row)?;
    loaded.key.check()?;
    if loaded.key.canonical() != met.instance_pk {
        return Err(format!(
            "its key is {} by the model's code and {} by its table's key columns: they must agree",
            loaded.key, met.instance_pk
        )
        .into());
    }
    Ok(loaded.published.then_some((loaded.key, Some(loaded.data))))
}

impl Met {
    /// The place behind it.
    pub(crate) fn after(&self) -> Result<After, StoreError> {
        let key = &self.key;
        After::from_json(key).map_err(|fault| schema(format!("the key {key}: {fault}")))
    }
}

/// A line break between two tokens of JSON may be a blank; within a text there is none.
fn one_line(data: String) -> String {
    if data.contains(['\n', '\r']) {
        data.replace(['\n', '\r'], " ")
    } else {
        data
    }
}

impl Candidates {
    /// The instances that need a revision.
    pub(crate) fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for row in &self.rows {
            let pk = || row.instance_pk.clone();
            match row.state {
                State::Live(_) => {}
                State::Never => missing.never.push(pk()),
                State::Deleted(revision) => missing.deleted.push((pk(), revision)),
            }
        }
        missing
    }

    /// The page. Instances that have got no revision are being recorded by someone else.
    pub(crate) fn page(self, given: &HashMap<String, Stamped>) -> Result<SourcePage, StoreError> {
        let mut page = self.page;
        for row in self.rows {
            let stamped = match row.state {
                State::Live(stamped) => Some(stamped),
                State::Never | State::Deleted(_) => given.get(&row.instance_pk).copied(),
            };
            let Some((revision, updated)) = stamped else {
                page.recording += 1;
                continue;
            };
            let updated =
                DateTime::from_timestamp_micros(updated).ok_or_else(|| StoreError::Corrupt {
                    table: "cqrs_revision",
                    column: "updated",
                    source: format!("{updated} is no time in microseconds").into(),
                })?;
            page.rows.push(SourceRow {
                key: row.key,
                instance_pk: row.instance_pk,
                revision: Revision(revision),
                updated,
                data: row.data,
            });
        }
        Ok(page)
    }
}

/// A page of keys.
pub(crate) fn key_page(rows: Vec<Met>, limit: usize) -> Result<KeyPage, StoreError> {
    let full = rows.len() >= limit;
    let next = rows.last().filter(|_| full).map(Met::after).transpose()?;
    let mut page = KeyPage {
        keys: Vec::with_capacity(rows.len()),
        failed: Vec::new(),
        next,
    };
    for met in rows {
        match key(&met) {
            Ok(key) => page.keys.push(key),
            Err(fault) => page.failed.push(FailedRow {
                key: met.key,
                fault,
            }),
        }
    }
    Ok(page)
}

/// For each of the keys asked for the table's own, if it is there and to be published.
pub(crate) fn found<R>(
    table: &SourceTable<R>,
    rows: &[(Met, R)],
    asked: usize,
) -> Vec<Option<InstanceKey>> {
    let mut found = vec![None; asked];
    for (met, row) in rows {
        let place = met.place.and_then(|place| usize::try_from(place).ok());
        // A row that cannot be read is there; whoever syncs it hears why it fails.
        let key = match instance(table, met, row) {
            Ok(instance) => instance.map(|(key, _)| key),
            Err(_) => key(met).ok(),
        };
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            *slot = key;
        }
    }
    found
}

/// For each of the keys asked for what is known of the instance. `in_hand`: revisions by canonical key,
/// and whether events are still to be sent.
///
/// # Errors
/// A row is there and cannot be read.
pub(crate) fn instances<R>(
    table: &SourceTable<R>,
    rows: Vec<(Met, R)>,
    keys: &[InstanceKey],
    in_hand: Vec<(String, Option<i64>, bool)>,
) -> Result<Vec<SourceInstance>, StoreError> {
    let mut instances: Vec<_> = keys
        .iter()
        .map(|key| SourceInstance {
            key: key.clone(),
            instance_pk: key.canonical(),
            revision: None,
            data: None,
            pending: false,
        })
        .collect();
    let in_hand: HashMap<_, _> = in_hand
        .into_iter()
        .map(|(pk, revision, pending)| (pk, (revision, pending)))
        .collect();
    for found in &mut instances {
        if let Some((revision, pending)) = in_hand.get(&found.instance_pk) {
            found.revision = *revision;
            found.pending = *pending;
        }
    }
    for (met, row) in rows {
        let place = met.place.and_then(|place| usize::try_from(place).ok());
        let Some(found) = place.and_then(|place| instances.get_mut(place)) else {
            continue;
        };
        // The database may take another key for equal to the one asked for, in its text ('ab ' for
        // 'ab'): that is another instance, and the one asked for is not there.
        if met.instance_pk != found.instance_pk {
            continue;
        }
        // Taken for one that is not there, it would be deleted at the replica.
        let instance = instance(table, &met, &row).map_err(StoreError::Backend)?;
        if let Some((key, code_data)) = instance {
            found.key = key;
            found.revision = met.revision;
            found.data = match code_data {
                Some(data) => Some(data),
                None => met.data.map_err(StoreError::Backend)?,
            };
        }
    }
    Ok(instances)
}

fn key(met: &Met) -> Result<InstanceKey, RowFault> {
    Ok(InstanceKey::from_json(&RawValue::from_string(
        met.key.clone(),
    )?)?)
}

/// The syncs of rows, and those that cannot be sent.
pub(crate) fn syncs<R>(
    table: &SourceTable<R>,
    rows: Vec<(Met, R)>,
    options: &SyncOptions,
) -> (Vec<Change>, Vec<FailedRow>) {
    let mut changes = Vec::with_capacity(rows.len());
    let mut failed = Vec::new();
    for (met, row) in rows {
        match sync(table, &met, &row, options) {
            Ok(change) => changes.extend(change),
            Err(fault) => failed.push(FailedRow {
                key: met.key,
                fault,
            }),
        }
    }
    (changes, failed)
}

fn sync<R>(
    table: &SourceTable<R>,
    met: &Met,
    row: &R,
    options: &SyncOptions,
) -> Result<Option<Change>, RowFault> {
    let change = match &table.loader {
        Loader::Code(code) => (code.synced)(row)?,
        Loader::Sql => {
            let data = match &met.data {
                Ok(data) => data.clone().unwrap_or_default(),
                Err(fault) => return Err(fault.to_string().into()),
            };
            Some(synced_data(&table.source, key(met)?, data)?)
        }
    };
    let Some(mut change) = change else {
        return Ok(None);
    };
    if let Some(queue) = &options.queue {
        change = change.to_queue(queue.as_str());
    }
    if options.forced {
        change = change.forced();
    }
    if let Some(ttl) = options.ttl {
        change = change.expires_in(ttl);
    }
    Ok(Some(change.checked()?))
}
