//! What commands and their handlers are.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use super::{CommandStore, Context, Failure, Rejection, Violations};

/// A wish to change the state: plain data.
pub trait Command: Serialize + Send + Sync {
    /// Its name in spans, metrics and the table of executed commands. Once in use it stays: a command
    /// that is repeated after a deployment is compared by it.
    const NAME: &'static str;

    /// What its handler answers with. It is kept with the command's id, as JSON.
    type Output: Serialize + DeserializeOwned + Send;

    /// Says what is wrong with the command by itself, before any handler or database sees it. Rules that
    /// need the state are the handler's.
    fn validate(&self, violations: &mut Violations) {
        let _ = violations;
    }
}

/// The one handler of a command: its business logic.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the command `{C}`",
    label = "has no handler of `{C}`",
    note = "write `impl CommandHandler<{C}, {S}> for {Self}`"
)]
pub trait CommandHandler<C: Command, S: CommandStore>: Send + Sync {
    /// Why the command may be refused.
    type Error: Rejection;

    /// Carries the command out in the open transaction of `context`. It may be run several times, each in
    /// a transaction of its own, so whatever it does outside of that transaction has to bear this.
    ///
    /// # Errors
    /// [`Failure::Rejected`] with the handler's own error, which reaches the caller as it is; or a
    /// failure of the database, which `?` makes of its error. The transaction is rolled back.
    ///
    /// # Cancel safety
    /// It may be dropped at any `await`; the transaction is rolled back then.
    fn handle(
        &self,
        command: &C,
        context: &mut Context<'_, S>,
    ) -> impl Future<Output = Result<C::Output, Failure<Self::Error>>> + Send;
}
