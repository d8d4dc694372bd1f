//! A stream of keys that another command has written.

use std::io;

use cqrs_core::{
    CqrsId, InstanceKey,
    stream::{StreamError, StreamHeader, parse_keys},
};
use futures_util::{Stream, StreamExt};

use crate::TableError;

/// The keys of a `diff` or `deleted-diff` of a replica, line by line.
#[derive(Debug)]
pub struct KeyLines<I> {
    input: I,
    header: StreamHeader,
    /// The number of the last line read, from 1.
    line: u64,
    ends_with_mark: bool,
    /// Whether the last line read was an end mark.
    ended: bool,
}

impl<I: Stream<Item = io::Result<String>> + Unpin> KeyLines<I> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`TableError::Line`] if it is no header, also if there is none.
    pub async fn begin(mut input: I) -> Result<Self, TableError> {
        let line = input.next().await.transpose().map_err(TableError::Input)?;
        let header = StreamHeader::parse(&line.unwrap_or_default());
        let header = header.map_err(|source| TableError::Line { line: 1, source })?;
        Ok(Self {
            input,
            header,
            line: 1,
            ends_with_mark: true,
            ended: false,
        })
    }

    /// The same stream, which is whole also without an end mark: one of Django's commands.
    #[must_use]
    pub fn without_end_mark(self) -> Self {
        Self {
            ends_with_mark: false,
            ..self
        }
    }

    /// The first line.
    #[must_use]
    pub const fn header(&self) -> &StreamHeader {
        &self.header
    }

    /// Refuses a stream of another model.
    pub(crate) fn expect(&self, model: &CqrsId) -> Result<(), TableError> {
        if self.header.cqrs_id == *model {
            return Ok(());
        }
        Err(TableError::OtherModel {
            found: self.header.cqrs_id.clone(),
            expected: model.clone(),
        })
    }

    /// The keys of the next line; `None` after the last one of a whole stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<InstanceKey>>, TableError> {
        let Some(line) = self.input.next().await else {
            return if self.ended || !self.ends_with_mark {
                Ok(None)
            } else {
                Err(TableError::Incomplete)
            };
        };
        self.line += 1;
        let line = line.map_err(TableError::Input)?;
        if line.trim().is_empty() {
            return Ok(Some(Vec::new()));
        }
        let keys = parse_keys(&line).map_err(|error| self.bad(error))?;
        self.ended = keys.is_empty();
        Ok(Some(keys))
    }

    fn bad(&self, source: StreamError) -> TableError {
        TableError::Line {
            line: self.line,
            source,
        }
    }
}
