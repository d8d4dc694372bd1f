//! What people hear of a command on a table, on stderr.

use cqrs_core::cli::{Progress, ProgressArgs};
use cqrs_outbox::source::{After, FailedRow};

use crate::Watch;

/// Tells of progress and of rows that fail, and remembers the last place passed.
#[derive(Debug)]
pub(super) struct Watching {
    what: &'static str,
    arguments: ProgressArgs,
    progress: Progress,
    done: u64,
    failed: u64,
    pub(super) passed: Option<After>,
}

/// How many failed rows are told one by one.
const TOLD: u64 = 100;

impl Watching {
    pub(super) fn new(what: &'static str, arguments: ProgressArgs) -> Self {
        Self {
            what,
            arguments,
            progress: arguments.start(what, None),
            done: 0,
            failed: 0,
            passed: None,
        }
    }
}

impl Watch for Watching {
    fn expects(&mut self, rows: u64) {
        self.progress = self.arguments.start(self.what, Some(rows));
    }

    fn advanced(&mut self, rows: u64) {
        self.done += rows;
        self.progress.at(self.done);
    }

    fn failed(&mut self, row: &FailedRow) {
        self.failed += 1;
        if self.failed <= TOLD {
            let text = format!("row {}: {}", row.key, causes(row));
            self.progress.note(&text);
        } else if self.failed == TOLD + 1 {
            self.progress.note("more rows fail; they are counted");
        }
    }

    fn passed(&mut self, place: &After) {
        self.passed = Some(place.clone());
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }
}

fn causes(row: &FailedRow) -> String {
    let mut text = row.fault.to_string();
    let mut cause = row.fault.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
