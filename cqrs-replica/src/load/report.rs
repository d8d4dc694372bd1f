//! What came of a load.

use std::{collections::HashSet, fmt};

use chrono::{DateTime, Utc};
use cqrs_core::CqrsId;
use serde::Serialize;

/// What came of a load. `Display` is for people, `Serialize` for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loaded {
    /// The model.
    pub cqrs_id: Option<String>,
    /// Rows that took effect.
    pub loaded: u64,
    /// Rows that say nothing new: this state, a later one or the delete is known.
    pub not_newer: u64,
    /// Rows that are kept until the rows come that they refer to, or the revisions before them.
    pub waiting: u64,
    /// Rows that could not be read or applied. Those that could be read are letters.
    pub failed: u64,
    /// Where to go on, when it was stopped.
    pub stopped_at: Option<u64>,
    /// Why the dump is not the whole of what was to be dumped.
    pub incomplete: Option<Incomplete>,
    /// Whether the dump was made with a filter, and may be only a part of the table.
    pub filtered: bool,
    /// What [`clear`](super::clear) needs to know.
    #[serde(skip)]
    pub seen: Seen,
}

/// Why a dump is not the whole of what was to be dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Incomplete {
    /// It ends without an end mark.
    #[error(
        "{rows} rows read, and no end mark: the command that wrote it failed or was stopped, or the file was \
         cut. (A dump of django-cqrs has none: load it with --without-end-mark)"
    )]
    NoMark {
        /// How many rows it has.
        rows: u64,
    },
    /// It has more or fewer rows than its end mark says.
    #[error("{rows} rows read, and its end mark counts {marked}")]
    OtherCount {
        /// How many rows it has.
        rows: u64,
        /// How many it should have.
        marked: u64,
    },
    /// Its writer could not dump so many rows.
    #[error("{0} rows of the master's table could not be dumped")]
    FailedRows(u64),
}

/// What a load has seen of its dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub(super) cqrs_id: Option<CqrsId>,
    /// The latest time of a change.
    pub(super) latest: Option<DateTime<Utc>>,
    /// The instances whose later states were known: those that have changed since the dump.
    pub(super) not_newer: HashSet<String>,
}

/// A row that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedLine {
    /// Where it stands.
    pub line: u64,
    /// The letter that it has become.
    pub letter: Option<i64>,
    /// Why, in one word: as with letters, or `unparsable`.
    pub reason: String,
    /// Why, in words.
    pub error: Option<String>,
}

/// What is told while a load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadEvent<'a> {
    /// So many rows more are done with, well or not.
    Rows(u64),
    /// A row has failed.
    Failed(&'a FailedLine),
}

/// What came of some rows.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) loaded: u64,
    pub(super) not_newer: u64,
    pub(super) waiting: u64,
    pub(super) failed: Vec<FailedLine>,
    /// The instances of those that say nothing new, where that matters.
    pub(super) known: Vec<String>,
}

impl Report {
    /// A line that cannot be read.
    pub(super) fn unparsable(line: u64, error: String) -> Self {
        Self {
            failed: vec![FailedLine {
                line,
                letter: None,
                reason: "unparsable".to_owned(),
                error: Some(error),
            }],
            ..Self::default()
        }
    }
}

impl Loaded {
    /// How many rows are done with, well or not.
    #[must_use]
    pub const fn processed(&self) -> u64 {
        self.loaded + self.not_newer + self.waiting + self.failed
    }

    /// Whether the dump is whole, and each row of it is in its place, or a later state is.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.failed == 0
            && self.waiting == 0
            && self.stopped_at.is_none()
            && self.incomplete.is_none()
    }

    pub(super) fn add(&mut self, report: &Report, on: &mut impl FnMut(LoadEvent<'_>)) {
        let before = self.processed();
        self.loaded += report.loaded;
        self.not_newer += report.not_newer;
        self.waiting += report.waiting;
        self.seen.not_newer.extend(report.known.iter().cloned());
        self.failed += report.failed.len() as u64;
        report.failed.iter().for_each(|f| on(LoadEvent::Failed(f)));
        on(LoadEvent::Rows(self.processed() - before));
    }

    /// So many letters have been applied after all. Those of others may be among them.
    pub(super) fn taken_up(&mut self, letters: u64) {
        let ours = letters.min(self.waiting);
        self.waiting -= ours;
        self.loaded += ours;
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        write!(f, "{} instance{} loaded", self.loaded, s(self.loaded))?;
        write!(f, ", {} not newer", self.not_newer)?;
        if self.waiting > 0 {
            write!(
                f,
                ", {} kept until what they wait for has come",
                self.waiting
            )?;
        }
        write!(f, ", {} failed", self.failed)
    }
}

impl fmt::Display for FailedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)?;
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        match self.letter {
            Some(id) => write!(f, " (kept as letter {id})"),
            None => Ok(()),
        }
    }
}
