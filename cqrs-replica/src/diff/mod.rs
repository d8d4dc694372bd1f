//! The replica's part of django-cqrs's diffs: `cqrs-replica diff`, `deleted-diff` and `deleted-sync`.
//!
//! What a replica has of an instance is the revision of its state, if the table has the row too: one
//! that someone has deleted by hand is missing, whatever is known of it.

mod deleted;
mod revisions;

use std::{
    io::{self, Write},
    sync::Arc,
};

use cqrs_core::{
    CqrsId, InstanceKey, QueueName, StoreError,
    filter::FilterError,
    stream::{Lines, NO_END_OF_KEYS, StreamError, StreamHeader, keys_line},
};

pub use deleted::{DeletedDone, DeletedListed, deleted_diff, deleted_sync};
pub(crate) use deleted::{now, table};
pub use revisions::{DiffDone, diff};

use crate::{Model, Models, ReplicaStore, TooManyDeletes};

/// Why a diff could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// The input cannot be read.
    #[error("the input cannot be read")]
    Input(#[source] io::Error),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    /// A line is not as it should be.
    #[error("line {line}")]
    Line {
        /// Which.
        line: u64,
        /// What is wrong with it.
        #[source]
        problem: StreamError,
    },
    /// The input ends without an end mark. What it named has been dealt with, but for deletes.
    #[error("{NO_END_OF_KEYS}")]
    Incomplete,
    /// More rows would be deleted than may be. None was.
    #[error(transparent)]
    TooMany(#[from] TooManyDeletes),
    /// The model cannot be compared. Says what to do.
    #[error("model {cqrs_id}: {problem}")]
    Model {
        /// Which.
        cqrs_id: String,
        /// Why, and the remedy.
        problem: String,
    },
    /// The filter does not fit the table.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A failure of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is told while a command goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiffEvent<'a> {
    /// So many instances are done with by now.
    Rows(u64),
    /// Something to tell people.
    Note(&'a str),
}

/// A stream with its first line read.
struct Input<'l> {
    lines: &'l mut Lines,
    header: StreamHeader,
    number: u64,
    /// Whether the last line read was an end mark.
    ended: bool,
}

impl<'l> Input<'l> {
    async fn open(lines: &'l mut Lines) -> Result<Self, DiffError> {
        let first = lines.next().await.map_err(DiffError::Input)?;
        let header = StreamHeader::parse(first.as_deref().unwrap_or_default());
        let header = header.map_err(|problem| DiffError::Line { line: 1, problem })?;
        Ok(Self {
            lines,
            header,
            number: 1,
            ended: false,
        })
    }

    /// The next line that is not empty, read as `parse` reads it; `None` at the end of a whole stream.
    async fn next<T>(
        &mut self,
        parse: impl Fn(&str) -> Result<Vec<T>, StreamError>,
    ) -> Result<Option<Vec<T>>, DiffError> {
        while let Some(line) = self.lines.next().await.map_err(DiffError::Input)? {
            self.number += 1;
            if line.trim().is_empty() {
                continue;
            }
            let line = parse(&line).map_err(|problem| DiffError::Line {
                line: self.number,
                problem,
            });
            let items = line?;
            self.ended = items.is_empty();
            return Ok(Some(items));
        }
        if self.ended || !self.lines.ends_with_mark() {
            Ok(None)
        } else {
            Err(DiffError::Incomplete)
        }
    }
}

fn model<'m, S: ReplicaStore>(
    models: &'m Models<S>,
    cqrs_id: &CqrsId,
) -> Result<&'m Model<S>, DiffError> {
    models.get(cqrs_id).ok_or_else(|| {
        let known: Vec<_> = models.iter().map(|m| m.cqrs_id.to_string()).collect();
        DiffError::Model {
            cqrs_id: cqrs_id.to_string(),
            problem: format!("it is unknown here; known are: {}", known.join(", ")),
        }
    })
}

fn write(out: &mut impl Write, line: &str) -> Result<(), DiffError> {
    writeln!(out, "{line}").map_err(DiffError::Output)
}

/// Some keys, for people: not so many that nobody could read them.
fn named(what: &str, keys: &[InstanceKey]) -> String {
    const SHOWN: usize = 100;
    let more = match keys.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = &keys[..keys.len().min(SHOWN)];
    format!("{what}: {}{more}", keys_line(shown))
}

/// What a diff is made for.
#[derive(Debug, Clone)]
pub struct DiffOf<S: ReplicaStore> {
    /// The replica.
    pub store: S,
    /// Its models.
    pub models: Arc<Models<S>>,
    /// Its queue.
    pub queue: QueueName,
}
