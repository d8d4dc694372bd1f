//! What ends a command on a table.

use std::io;

use cqrs_core::{
    CqrsId, QueueName, StoreError,
    stream::{NO_END_OF_KEYS, StreamError},
};
use cqrs_outbox::RecordError;

/// Why a command on a table ended before it was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The database failed, or does not fit the model.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// Syncs could not be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),

    /// The output takes no more: the disk is full, or its reader has gone.
    #[error("the output takes no more")]
    Output(#[source] io::Error),

    /// The input cannot be read.
    #[error("the input cannot be read")]
    Input(#[source] io::Error),

    /// A line of the input is none of this command's.
    #[error("line {line} of the input")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: StreamError,
    },

    /// The input ends without an end mark. What it named has been dealt with.
    #[error("{NO_END_OF_KEYS}")]
    Incomplete,

    /// The input is of another model.
    #[error("the input is of the model {found}, not of {expected}")]
    OtherModel {
        /// That of the input.
        found: CqrsId,
        /// That of the command.
        expected: CqrsId,
    },

    /// A direct sync cannot arrive.
    #[error(
        "there is no queue {:?}, or it takes nothing of this model: {rows} row{} came back and cannot go to \
         another queue. Give what is dead up (`cqrs-relay dead list`, `dead discard`), and sync from the start",
        queue.as_str(),
        if *rows == 1 { "" } else { "s" }
    )]
    NoQueue {
        /// The queue.
        queue: QueueName,
        /// How many rows.
        rows: u64,
    },
}
