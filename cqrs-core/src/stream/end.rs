//! How a reader knows that a dump or a stream is whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::StreamError;

/// The last line of a stream of keys that is whole: a line of no keys, which Django's commands pass over.
pub const END_OF_KEYS: &str = "[]";

/// What a command says of a stream without its end mark.
pub const NO_END_OF_KEYS: &str = "the stream has no end mark, so it is incomplete: the command that \
    wrote it failed or was stopped. (Streams of django-cqrs have none: read them with --without-end-mark)";

const START: &str = r#"{"cqrs_end":"#;

/// The last line of a dump that is whole.
///
/// Django's `cqrs_bulk_load` finds no key in it, says that this line cannot be saved, and has loaded all
/// the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DumpEnd {
    /// How many rows the dump has.
    pub rows: u64,
    /// How many rows could not be dumped.
    pub failed: u64,
    /// Whether the dump was made with a filter, so that it may be only a part of the table.
    pub filtered: bool,
}

impl DumpEnd {
    /// Reads a line of a dump; `None` if it is a row.
    ///
    /// # Errors
    /// It is an end mark that is not whole.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Result<Self, StreamError>> {
        /// The line.
        #[derive(Deserialize)]
        struct Line {
            cqrs_end: DumpEnd,
        }
        line.starts_with(START.as_bytes()).then(|| {
            let line: Result<Line, _> = serde_json::from_slice(line);
            line.map(|line| line.cqrs_end)
                .map_err(|error| StreamError(format!("it is not a whole end mark: {error}")))
        })
    }
}

impl fmt::Display for DumpEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rows,
            failed,
            filtered,
        } = self;
        write!(
            f,
            r#"{START}{{"rows":{rows},"failed":{failed},"filtered":{filtered}}}}}"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_mark_is_read_as_it_is_written() {
        let mark = DumpEnd {
            rows: 41,
            failed: 2,
            filtered: true,
        };
        let line = mark.to_string();
        assert_eq!(
            line,
            r#"{"cqrs_end":{"rows":41,"failed":2,"filtered":true}}"#
        );
        assert_eq!(DumpEnd::parse(line.as_bytes()), Some(Ok(mark)));
        assert_eq!(DumpEnd::parse(br#"{"id":1}"#), None);
        let cut = DumpEnd::parse(&line.as_bytes()[..20]).unwrap();
        assert!(
            cut.unwrap_err()
                .to_string()
                .contains("not a whole end mark")
        );
    }
}
