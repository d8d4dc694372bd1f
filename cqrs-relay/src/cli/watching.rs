//! What people hear of a command on a table, on stderr.

use std::io::{self, Write};

use cqrs_outbox::source::{After, FailedRow};

use crate::Watch;

/// Tells of rows that fail, and remembers the last place passed.
#[derive(Debug, Default)]
pub(super) struct Watching {
    pub(super) passed: Option<After>,
    failed: u64,
}

/// How many failed rows are told one by one.
const TOLD: u64 = 100;

impl Watch for Watching {
    fn failed(&mut self, row: &FailedRow) {
        self.failed += 1;
        if self.failed <= TOLD {
            say(&format!("row {}: {}", row.key, causes(row)));
        } else if self.failed == TOLD + 1 {
            say("more rows fail; they are counted");
        }
    }

    fn passed(&mut self, place: &After) {
        self.passed = Some(place.clone());
    }

    fn note(&mut self, text: &str) {
        say(text);
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

/// A line on stderr. Nobody may be listening any more.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
