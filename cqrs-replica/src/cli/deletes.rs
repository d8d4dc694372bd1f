//! How many rows a command may delete.

use clap::Args;

use crate::DeleteLimit;

/// How many rows may be deleted because the master does not have them.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Deletes {
    /// Delete nothing if more rows than this would be deleted [default: a tenth of the table's rows, or
    /// 100 if that is more].
    #[arg(long, value_name = "N", conflicts_with = "yes")]
    max_deletes: Option<u64>,
    /// Delete however many rows it takes.
    #[arg(long)]
    yes: bool,
}

impl Deletes {
    pub(super) fn limit(self) -> DeleteLimit {
        match (self.yes, self.max_deletes) {
            (true, _) => DeleteLimit::All,
            (false, Some(rows)) => DeleteLimit::Rows(rows),
            (false, None) => DeleteLimit::Tenth,
        }
    }
}
