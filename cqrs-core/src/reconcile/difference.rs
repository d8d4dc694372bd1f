//! What a row is compared by, and in which way two differ.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::ContentHash;

/// What a row is compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowMark {
    /// Its revision. [`Self::UNKNOWN`] on a replica that has the row and knows nothing of it.
    pub revision: i64,
    /// The hash of the fields that both sides have.
    pub content: ContentHash,
}

impl RowMark {
    /// The revision of a row that a replica has by no message.
    pub const UNKNOWN: i64 = -1;
}

/// In which way a replica's row differs from its master's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// The master has it, the replica has not.
    Missing,
    /// The replica has it, and the master has not or keeps it from replicas.
    Extra,
    /// The replica has an earlier revision.
    Stale,
    /// The replica has a later revision: the master was restored from a backup.
    Ahead,
    /// The revisions are equal, the values are not.
    Content,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Missing,
        Self::Extra,
        Self::Stale,
        Self::Ahead,
        Self::Content,
    ];

    /// How the row of a replica differs from that of its master, if it does.
    #[must_use]
    pub fn between(master: Option<RowMark>, replica: Option<RowMark>) -> Option<Self> {
        match (master, replica) {
            (None, None) => None,
            (Some(_), None) => Some(Self::Missing),
            (None, Some(_)) => Some(Self::Extra),
            (Some(master), Some(replica)) => match replica.revision.cmp(&master.revision) {
                std::cmp::Ordering::Less => Some(Self::Stale),
                std::cmp::Ordering::Greater => Some(Self::Ahead),
                std::cmp::Ordering::Equal => {
                    (master.content != replica.content).then_some(Self::Content)
                }
            },
        }
    }

    /// The word used in reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Stale => "stale",
            Self::Ahead => "ahead",
            Self::Content => "content",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_tell_before_values_do() {
        let mark = |revision, content| {
            Some(RowMark {
                revision,
                content: ContentHash(content),
            })
        };
        for (master, replica, difference) in [
            (None, None, None),
            (mark(1, 1), None, Some(Difference::Missing)),
            (None, mark(1, 1), Some(Difference::Extra)),
            (mark(2, 1), mark(1, 1), Some(Difference::Stale)),
            (
                mark(0, 1),
                mark(RowMark::UNKNOWN, 1),
                Some(Difference::Stale),
            ),
            (mark(1, 1), mark(2, 2), Some(Difference::Ahead)),
            (mark(1, 1), mark(1, 2), Some(Difference::Content)),
            (mark(1, 1), mark(1, 1), None),
        ] {
            assert_eq!(Difference::between(master, replica), difference);
        }
    }
}
