//! Log lines, on stderr: stdout is for reports.

use std::{error::Error, io::IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::LogFormat;

/// Which lines are written.
const FILTER_VARIABLE: &str = "CQRS_LOG";

/// The drivers tell of each lost connection too; we do so once, with what we do about it. `lapin`
/// also writes the body of each message that comes back.
const USUAL_FILTER: &str = "info,lapin=off,sqlx=warn";

/// Starts logging.
pub(super) fn init(format: LogFormat, example: &str) -> anyhow::Result<()> {
    let filter = match std::env::var_os(FILTER_VARIABLE) {
        Some(filter) if !filter.is_empty() => filter.to_string_lossy().into_owned(),
        _ => USUAL_FILTER.to_owned(),
    };
    let filter = EnvFilter::builder().parse(&filter).with_context(|| {
        format!("{FILTER_VARIABLE} is not a filter such as `info,{example}=debug`")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error).context("logging was started before"))
}

/// Tells why the program ends.
pub(super) fn failure(format: LogFormat, error: &anyhow::Error) {
    let causes = causes(error.as_ref());
    match format {
        LogFormat::Json if tracing::enabled!(tracing::Level::ERROR) => {
            tracing::error!(error = causes.join(": "), "ended with an error");
        }
        LogFormat::Text | LogFormat::Json => {
            eprintln!("error: {}", causes.join("\n  caused by: "));
        }
    }
}

/// An error and its causes, without those that repeat the end of the one before: some drivers print
/// their sources as well.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let all = std::iter::successors(Some(error), |error| (*error).source());
    all.fold(Vec::new(), |mut causes: Vec<String>, error| {
        let text = error.to_string();
        if !causes.last().is_some_and(|last| last.ends_with(&text)) {
            causes.push(text);
        }
        causes
    })
}
