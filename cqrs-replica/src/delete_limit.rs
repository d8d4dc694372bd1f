//! How many rows a comparison may delete: one with the wrong master, or with a master whose tables are
//! not restored yet, would delete them all.

use serde::Serialize;

/// How many rows of a table may be deleted because the master does not have them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteLimit {
    /// A tenth of the table's rows, and 100 rows of a small table.
    #[default]
    Tenth,
    /// So many rows.
    Rows(u64),
    /// All of them.
    All,
}

/// More rows would be deleted than may be, so none was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[error(
    "{deletes} of {rows} rows would be deleted, and the limit is {limit}, so nothing was deleted: is this \
     the right master? If so, give a higher --max-deletes, or --yes for no limit"
)]
#[non_exhaustive]
pub struct TooManyDeletes {
    /// How many rows would be deleted, at least.
    pub deletes: u64,
    /// How many rows the table has.
    pub rows: u64,
    /// How many may be deleted.
    pub limit: u64,
}

impl DeleteLimit {
    const FLOOR: u64 = 100;

    /// Refuses more deletes of a table's rows than may be.
    ///
    /// # Errors
    /// [`TooManyDeletes`].
    pub fn check(self, deletes: u64, rows: u64) -> Result<(), TooManyDeletes> {
        let limit = match self {
            Self::Tenth => (rows / 10).max(Self::FLOOR),
            Self::Rows(limit) => limit,
            Self::All => return Ok(()),
        };
        if deletes <= limit {
            return Ok(());
        }
        Err(TooManyDeletes {
            deletes,
            rows: rows.max(deletes),
            limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_large_table_may_go_and_some_rows_of_a_small_one() {
        let refused = |limit: DeleteLimit, deletes, rows| limit.check(deletes, rows).is_err();
        assert!(!refused(DeleteLimit::Tenth, 100, 100));
        assert!(refused(DeleteLimit::Tenth, 101, 101));
        assert!(!refused(DeleteLimit::Tenth, 10_000, 100_000));
        assert!(refused(DeleteLimit::Tenth, 10_001, 100_000));
        assert!(refused(DeleteLimit::Rows(0), 1, 100));
        assert!(!refused(DeleteLimit::Rows(3), 3, 3));
        assert!(!refused(DeleteLimit::All, u64::MAX, 1));
    }
}
