//! How a model's capture is.

use std::fmt;

/// How what is installed compares with the model and its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureState {
    /// There are no triggers: writes are not captured.
    NotInstalled,
    /// As the model says.
    Current,
    /// The model has changed since: its old form is captured.
    ModelChanged,
    /// The table has changed since, say by a column or a partition: what is new is not captured, and once
    /// a captured column is gone, changes are kept as dead rows. One of another type goes on arriving.
    TableChanged,
    /// It was made by another version of this program.
    OtherVersion,
    /// A trigger is missing or is another one: some writes are not captured.
    Damaged,
    /// A trigger is switched off: some writes are not captured.
    Disabled,
}

impl CaptureState {
    /// Its name, for JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::Current => "current",
            Self::ModelChanged => "model_changed",
            Self::TableChanged => "table_changed",
            Self::OtherVersion => "other_version",
            Self::Damaged => "damaged",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for CaptureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInstalled => "not installed",
            Self::Current => "current",
            Self::ModelChanged => "the model has changed",
            Self::TableChanged => "the table has changed",
            Self::OtherVersion => "made by another version",
            Self::Damaged => "triggers are missing or changed",
            Self::Disabled => "triggers are switched off",
        })
    }
}

/// What an install came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Installed {
    /// There was nothing before.
    New,
    /// What was there has been replaced.
    Replaced,
    /// It was as it should be.
    Unchanged,
}

/// Rows that can be no events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsendable {
    /// How many there are.
    pub rows: u64,
    /// Some of them, as key and reason.
    pub examples: Vec<String>,
}

impl Unsendable {
    /// Of examples, each with the number of all.
    pub(crate) fn of(rows: Vec<(String, i64)>) -> Self {
        Self {
            rows: rows.first().map_or(0, |(_, count)| count.unsigned_abs()),
            examples: rows.into_iter().map(|(example, _)| example).collect(),
        }
    }
}
