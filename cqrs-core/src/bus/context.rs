//! What a command's handler works with.

use std::fmt;

use uuid::Uuid;

use super::CommandStore;

/// The open transaction, and whose it is.
pub struct Context<'a, S: CommandStore> {
    /// The transaction, which the bus commits when the handler succeeds.
    pub transaction: &'a mut S::Transaction,
    /// The command's id, which is the correlation id of the events recorded in the transaction.
    pub id: Uuid,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
}

impl<S: CommandStore> fmt::Debug for Context<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
