//! Rows whose values cannot be read: somebody wrote them past `record`.

use std::error::Error as _;

use cqrs_core::StoreError;

use super::{OutboxRow, kept_error};

/// What was read of some rows of the outbox.
#[derive(Debug, Default)]
pub(crate) struct ReadRows {
    pub(crate) rows: Vec<OutboxRow>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A row to be set aside.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) id: i64,
    /// What is wrong with it.
    pub(crate) problem: String,
}

impl ReadRows {
    /// Adds the row with this id, or what is wrong with it.
    ///
    /// # Errors
    /// Those that say nothing about the row's values: a column that is not of the type this program knows.
    pub(crate) fn push(
        &mut self,
        id: i64,
        row: Result<OutboxRow, StoreError>,
    ) -> Result<(), StoreError> {
        match row {
            Ok(row) => self.rows.push(row),
            Err(error @ StoreError::Corrupt { .. }) => {
                let problem = match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                let problem = kept_error(&problem);
                tracing::warn!(
                    id,
                    problem,
                    "set aside as dead: a row of the outbox cannot be read"
                );
                self.unreadable.push(Unreadable { id, problem });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
