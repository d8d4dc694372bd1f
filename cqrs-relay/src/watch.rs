//! Who hears how a command on a table gets on.

use cqrs_outbox::source::{After, FailedRow};

/// Hears how a command gets on. The library writes to no terminal.
pub trait Watch: Send {
    /// About how many rows there will be.
    fn expects(&mut self, rows: u64) {
        let _ = rows;
    }

    /// This many more rows are done.
    fn advanced(&mut self, rows: u64) {
        let _ = rows;
    }

    /// A row failed. The others go on.
    fn failed(&mut self, row: &FailedRow) {
        let _ = row;
    }

    /// Everything up to here is done and need not be done again.
    fn passed(&mut self, place: &After) {
        let _ = place;
    }

    /// Something that people should know.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}

/// Nobody.
impl Watch for () {}
