//! Reports, on stdout.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use serde::Serialize;

/// Writes a report as text or as JSON.
///
/// # Errors
/// Stdout takes no more, though someone still reads it.
pub fn report<R: Display + Serialize>(report: &R, json: bool) -> anyhow::Result<()> {
    if json {
        line(&serde_json::to_string_pretty(report)?)
    } else {
        line(&report.to_string())
    }
}

/// Writes a text and ends its line.
///
/// # Errors
/// As for [`report`].
pub fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        // Whoever was reading has seen enough: `| head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A line on stderr, beside the data on stdout. Nobody may be listening any more.
pub fn aside(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
