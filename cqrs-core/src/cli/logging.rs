//! Log lines, on stderr: stdout is for reports.

use std::{error::Error, io::IsTerminal};

use anyhow::Context;
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, filter_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::LogFormat;

/// Which lines are written.
const FILTER_VARIABLE: &str = "CQRS_LOG";

/// The drivers tell of each lost connection too; we do so once, with what we do about it.
const USUAL_FILTER: &str = "info,lapin=off,sqlx=warn";

/// Whether no filter lets this target through: `lapin` writes the bodies of messages that come back, and
/// sqlx the values of parameters of URLs that it does not know.
fn is_secret(target: &str) -> bool {
    ["lapin", "sqlx_postgres::options"]
        .iter()
        .filter_map(|module| target.strip_prefix(module))
        .any(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Starts logging.
pub(super) fn init(format: LogFormat, example: &str) -> anyhow::Result<()> {
    let filter = match std::env::var_os(FILTER_VARIABLE) {
        Some(filter) if !filter.is_empty() => filter.to_string_lossy().into_owned(),
        _ => USUAL_FILTER.to_owned(),
    };
    if let Some(word) = no_level(&filter) {
        anyhow::bail!(
            "{FILTER_VARIABLE} names {word:?}, which is not a level: use off, error, warn, info, debug or trace, \
             or a filter such as `info,{example}=debug`"
        );
    }
    let filter = EnvFilter::builder().parse(&filter).with_context(|| {
        format!("{FILTER_VARIABLE} is not a filter such as `info,{example}=debug`")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let open = filter_fn(|metadata| !is_secret(metadata.target()));
    let started = match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            lines.finish().with(open).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            lines.finish().with(open).try_init()
        }
    };
    started.map_err(|error| anyhow::anyhow!(error).context("logging was started before"))
}

/// A word that stands alone and is no level: taken for the name of a crate, it would silence all others.
fn no_level(filter: &str) -> Option<&str> {
    let words = filter.split(',').map(str::trim);
    let mut alone = words.filter(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    alone.find(|word| !word.is_empty() && word.parse::<LevelFilter>().is_err())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_told() {
        assert_eq!(no_level("verbose"), Some("verbose"));
        assert_eq!(no_level("info, chatty"), Some("chatty"));
        for filter in [
            "",
            "info",
            "OFF",
            "2",
            USUAL_FILTER,
            "cqrs_relay",
            "info,cqrs_replica=debug",
        ] {
            assert_eq!(no_level(filter), None, "{filter}");
        }
    }

    #[test]
    fn bodies_and_secrets_have_no_way_into_the_log() {
        for target in [
            "lapin",
            "lapin::returned_messages",
            "sqlx_postgres::options::parse",
        ] {
            assert!(is_secret(target), "{target}");
        }
        for target in [
            "cqrs_relay",
            "lapin_pool",
            "sqlx_postgres::connection",
            "sqlx::query",
        ] {
            assert!(!is_secret(target), "{target}");
        }
    }
}
