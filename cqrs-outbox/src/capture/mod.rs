//! Capture: triggers on a model's table that record every write, whoever makes it.
//!
//! What they do is made of a [`Source`](crate::source::Source) alone, so that the events are those that
//! [`record`](crate::record) would make of the same rows. They stand beside an entry in the table
//! `cqrs_capture` that says for which model, and with which text, they were made.

mod registry;
mod state;

use std::future::Future;

use cqrs_core::{CqrsId, StoreError};

pub(crate) use registry::{Entry, declared, differences, judge};
pub use state::{CaptureState, Installed, Unsendable};

use crate::source::SourceModel;

/// A connection to a database whose tables can be captured: `PgConnection` or `SqliteConnection`.
///
/// The outbox's tables must be there and up to date. The user must own the captured table, and may
/// write the outbox.
pub trait Capture: Send {
    /// The statements that [`Self::install`] would run on the database as it is now. Nothing is
    /// changed.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit, each with its remedy; otherwise a failure of
    /// the database.
    ///
    /// # Cancel safety
    /// Safe: it reads.
    fn sql(
        &mut self,
        model: &SourceModel,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Captures a model's table from now on, or changes what is there to what the model says now. In
    /// one transaction, which waits until those that write the table have ended and keeps others out
    /// until it has. A second call changes nothing.
    ///
    /// # Errors
    /// As [`Self::sql`].
    ///
    /// # Cancel safety
    /// Safe if the connection is dropped then.
    fn install(
        &mut self,
        model: &SourceModel,
    ) -> impl Future<Output = Result<Installed, StoreError>> + Send;

    /// Takes the triggers of a model away, in one transaction likewise. Its events and revisions stay.
    /// Answers whether there were any.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// As [`Self::install`].
    fn remove(&mut self, cqrs_id: &CqrsId)
    -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Compares what is installed with the model and its table as they are now.
    ///
    /// # Errors
    /// As [`Self::sql`].
    ///
    /// # Cancel safety
    /// Safe: it reads.
    fn status(
        &mut self,
        model: &SourceModel,
    ) -> impl Future<Output = Result<CaptureState, StoreError>> + Send;

    /// What has become of the columns of the table since it was captured, in words: `balance is gone`. Empty
    /// if nothing has, or if another version of this program captured it.
    ///
    /// # Errors
    /// As [`Self::sql`].
    ///
    /// # Cancel safety
    /// Safe: it reads.
    fn changes(
        &mut self,
        model: &SourceModel,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Looks for rows that can be no events, for their key or because their body would be longer than
    /// `max_bytes`. Reads the whole table.
    ///
    /// # Errors
    /// As [`Self::sql`].
    ///
    /// # Cancel safety
    /// Safe: it reads.
    fn unsendable(
        &mut self,
        model: &SourceModel,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Unsendable, StoreError>> + Send;

    /// The models that are captured, whatever their state, by name.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// Safe: it reads.
    fn captured(&mut self) -> impl Future<Output = Result<Vec<CqrsId>, StoreError>> + Send;
}
