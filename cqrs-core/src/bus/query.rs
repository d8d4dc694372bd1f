//! What queries and their handlers are.

use std::future::Future;

use serde::Serialize;

use super::{Failure, QueryStore, Rejection, Violations};

/// A question about the state: plain data.
pub trait Query: Serialize + Send + Sync {
    /// Its name in spans and metrics.
    const NAME: &'static str;

    /// The answer.
    type Output: Send;

    /// Says what is wrong with the query by itself, before any handler or database sees it.
    fn validate(&self, violations: &mut Violations) {
        let _ = violations;
    }
}

/// The one handler of a query.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer the query `{Q}`",
    label = "has no handler of `{Q}`",
    note = "write `impl QueryHandler<{Q}, {S}> for {Self}`"
)]
pub trait QueryHandler<Q: Query, S: QueryStore>: Send + Sync {
    /// Why there may be no answer.
    type Error: Rejection;

    /// Answers from one consistent view of the database, which refuses to be written to.
    ///
    /// # Errors
    /// [`Failure::Rejected`] with the handler's own error, or a failure of the database.
    ///
    /// # Cancel safety
    /// It may be dropped at any `await`.
    fn handle(
        &self,
        query: &Q,
        transaction: &mut S::Transaction,
    ) -> impl Future<Output = Result<Q::Output, Failure<Self::Error>>> + Send;
}
