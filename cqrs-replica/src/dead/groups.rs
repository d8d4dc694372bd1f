//! Letters by the way in which they failed.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    LetterGroup,
    plain::{columns, plain, shorten, time},
};

/// Groups of letters, the largest first. `Display` is a table, `Serialize` a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Groups {
    /// Each of them.
    pub groups: Vec<Group>,
}

/// Letters that failed in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// How many there are.
    pub count: u64,
    /// What is being done about them.
    pub state: &'static str,
    /// The class of the reason.
    pub reason: String,
    /// The model.
    pub cqrs_id: Option<String>,
    /// Equal for letters that failed in the same way.
    pub fingerprint: Option<String>,
    /// When the first one came.
    pub first_at: DateTime<Utc>,
    /// When the last one came.
    pub last_at: DateTime<Utc>,
    /// The error of one of them.
    pub error: Option<String>,
}

impl Groups {
    /// How many letters there are in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// The models of the letters, each once.
    #[must_use]
    pub fn models(&self) -> Vec<&str> {
        let groups = self.groups.iter();
        let mut models: Vec<_> = groups
            .filter_map(|group| group.cqrs_id.as_deref())
            .collect();
        models.sort_unstable();
        models.dedup();
        models
    }
}

impl From<Vec<LetterGroup>> for Groups {
    fn from(groups: Vec<LetterGroup>) -> Self {
        let groups = groups.into_iter().map(|group| Group {
            count: group.count,
            state: group.state.as_str(),
            reason: group.reason,
            cqrs_id: group.cqrs_id,
            fingerprint: group.fingerprint,
            first_at: group.first_at,
            last_at: group.last_at,
            error: group.error,
        });
        Self {
            groups: groups.collect(),
        }
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.groups.is_empty() {
            return f.write_str("no letters");
        }
        let head = [
            "LETTERS",
            "STATE",
            "REASON",
            "MODEL",
            "FINGERPRINT",
            "FIRST",
            "LAST",
            "ERROR",
        ];
        let mut rows = vec![head.map(ToOwned::to_owned)];
        rows.extend(self.groups.iter().map(|group| {
            [
                group.count.to_string(),
                group.state.to_owned(),
                plain(&group.reason),
                group
                    .cqrs_id
                    .as_deref()
                    .map_or_else(|| "?".to_owned(), |id| shorten(&plain(id), 40)),
                group.fingerprint.clone().unwrap_or_default(),
                time(group.first_at),
                time(group.last_at),
                shorten(&plain(group.error.as_deref().unwrap_or_default()), 80),
            ]
        }));
        columns(f, &rows)
    }
}
