//! What a round has found and done.

use std::{collections::BTreeMap, fmt};

use cqrs_core::{CqrsId, InstanceKey, reconcile::Difference};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{compare::Compared, fence::Behind, look::Look};
use crate::TooManyDeletes;

/// How many rows are shown to people.
const SHOWN: usize = 20;

/// What reconciling a model has found. `Display` is for people, `Serialize` for programs.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Reconciled {
    /// The model.
    pub cqrs_id: String,
    /// How many rows were compared.
    pub rows: u64,
    /// In how many ranges.
    pub ranges: u32,
    /// How many of the ranges differed.
    pub ranges_differing: u32,
    /// How many rows were exchanged one by one for the sake of those.
    pub rows_exchanged: u64,
    /// Rows that differ and for which nothing is on its way.
    pub found: Vec<FoundRow>,
    /// Rows that differ and that something is still to come of, by what that is.
    pub late: BTreeMap<&'static str, u64>,
    /// Whether there are more differences than one round deals with.
    pub more: bool,
    /// Fields that the replica keeps and the master does not publish, so that they were not compared.
    pub not_compared: Vec<String>,
    /// Those of them that the model's `columns` names and its `optional` does not: no event can be applied.
    pub not_published: Vec<String>,
    /// Why nothing was mended.
    pub refused: Option<TooManyDeletes>,
}

/// A row that differs.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct FoundRow {
    /// Its key.
    pub key: FoundKey,
    /// In which way.
    pub difference: Difference,
    /// The master's revision.
    pub master: Option<i64>,
    /// The revision that the replica knows.
    pub replica: Option<i64>,
    /// The dead letters of the instance.
    pub dead_letters: Vec<i64>,
    /// What has become of it.
    pub state: FoundState,
}

/// A key as messages have it.
#[derive(Debug)]
pub struct FoundKey(pub InstanceKey);

impl Serialize for FoundKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A number of more than 64 bits stays the number it is.
        match RawValue::from_string(self.0.to_json()) {
            Ok(json) => json.serialize(serializer),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

/// What has become of a row that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundState {
    /// It differs.
    Left,
    /// It was mended.
    Repaired,
}

impl Reconciled {
    pub(super) fn new(cqrs_id: &CqrsId, look: &Look) -> Self {
        Self {
            cqrs_id: cqrs_id.to_string(),
            rows: look.rows,
            ranges: look.ranges,
            ranges_differing: look.ranges_differing,
            rows_exchanged: look.rows_exchanged,
            found: Vec::new(),
            late: BTreeMap::new(),
            more: look.more,
            not_compared: Vec::new(),
            not_published: Vec::new(),
            refused: None,
        }
    }

    /// How many rows differ, and were not mended.
    #[must_use]
    pub fn left(&self) -> u64 {
        let left = self
            .found
            .iter()
            .filter(|row| row.state == FoundState::Left);
        left.count() as u64
    }

    /// Whether there is nothing to be done about.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.left() == 0 && !self.more && self.not_published.is_empty()
    }

    /// How many rows differ in each way, and were not mended.
    #[must_use]
    pub fn divergent(&self) -> BTreeMap<Difference, u64> {
        let mut divergent: BTreeMap<_, _> = Difference::ALL.map(|kind| (kind, 0)).into();
        for row in &self.found {
            if row.state == FoundState::Left {
                *divergent.entry(row.difference).or_default() += 1;
            }
        }
        divergent
    }

    /// Sets the gauges `cqrs_replica_divergent_rows`.
    pub fn export(&self) {
        for (kind, rows) in self.divergent() {
            let gauge = metrics::gauge!(
                "cqrs_replica_divergent_rows",
                "cqrs_id" => self.cqrs_id.clone(),
                "kind" => kind.as_str(),
            );
            // Counts of rows are far from where a float rounds them.
            gauge.set(u32::try_from(rows).unwrap_or(u32::MAX));
        }
    }

    /// A row differs, and otherwise than before: something still comes of it.
    pub(super) fn changed(&mut self) {
        *self.late.entry("changed meanwhile").or_default() += 1;
    }

    pub(super) fn late(&mut self, compared: &Compared) {
        let what = if compared.in_outbox {
            "an event is in the outbox"
        } else {
            "a letter waits or is tried again"
        };
        *self.late.entry(what).or_default() += 1;
    }

    pub(super) fn behind(&mut self, behind: Behind, rows: usize) {
        *self.late.entry(behind.in_words()).or_default() += rows as u64;
    }
}

impl FoundRow {
    pub(super) fn new(compared: &Compared, difference: Difference) -> Self {
        Self {
            key: FoundKey(compared.key.clone()),
            difference,
            master: compared.master.map(|mark| mark.revision),
            replica: compared.known.as_ref().map(|known| known.revision),
            dead_letters: compared.dead_letters.clone(),
            state: FoundState::Left,
        }
    }
}

impl fmt::Display for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |count: u64| format!("{count} row{}", if count == 1 { "" } else { "s" });
        let name = &self.cqrs_id;
        write!(f, "{name}: {} compared", rows(self.rows))?;
        if self.found.is_empty() && self.late.is_empty() {
            write!(f, ", equal")?;
        } else if self.found.is_empty() {
            let late = self.late.values().sum();
            write!(
                f,
                ", no difference in those that were judged; {} not judged",
                rows(late)
            )?;
        } else {
            let repaired = self.found.len() as u64 - self.left();
            write!(f, ", {} wrong", self.found.len())?;
            if repaired > 0 {
                write!(f, ", {repaired} repaired, {} left", self.left())?;
            }
        }
        if self.more {
            write!(f, ", and there are more: run it again after these")?;
        }
        if !self.not_compared.is_empty() {
            let fields = self.not_compared.join(", ");
            write!(
                f,
                "\n  not compared: {fields}: the master does not publish it"
            )?;
        }
        if let Some(refused) = &self.refused {
            write!(f, "\n  not mended: {refused}")?;
        }
        for (what, count) in &self.late {
            write!(f, "\n  not judged yet: {}: {what}", rows(*count))?;
        }
        for row in self.found.iter().take(SHOWN) {
            write!(f, "\n  {row}")?;
        }
        match self.found.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more: --json tells all"),
        }
    }
}

impl fmt::Display for FoundRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (", self.difference, self.key.0)?;
        match self.master {
            Some(master) => write!(f, "revision {master} at the master, ")?,
            None => write!(f, "not at the master, ")?,
        }
        match self.replica {
            Some(replica) => write!(f, "revision {replica} here)")?,
            None => write!(f, "no revision here)")?,
        }
        if !self.dead_letters.is_empty() {
            let letters: Vec<_> = self.dead_letters.iter().map(ToString::to_string).collect();
            write!(f, ", dead letters {}", letters.join(", "))?;
        }
        match self.state {
            FoundState::Left => Ok(()),
            FoundState::Repaired => write!(f, ", repaired"),
        }
    }
}
