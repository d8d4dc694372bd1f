//! What the cases need of a database.

use std::{future::Future, ops::DerefMut, time::Duration};

use cqrs_core::{
    StoreError,
    bus::{CommandStore, QueryStore},
};
use cqrs_outbox::{CommandTransaction, OpenTransaction};
use cqrs_tests::database::Database;

/// A database with the outbox and the table `purse (id, amount)`.
pub(crate) trait Bed: Send + Sync + Sized {
    type Open: OpenTransaction + DerefMut<Target: Statements> + 'static;
    type Commands: CommandStore<Transaction = CommandTransaction<Self::Open>> + 'static;
    type Queries: QueryStore<Transaction: DerefMut<Target: Statements>> + 'static;

    fn new() -> impl Future<Output = Self> + Send;
    fn commands(&self) -> Self::Commands;
    fn queries(&self) -> Self::Queries;
    fn database(&self) -> &Database;
    fn forget(&self, older_than: Duration) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The number that this query finds.
    fn number(&self, sql: &'static str) -> impl Future<Output = i64> + Send {
        async move { self.database().number(sql).await.unwrap() }
    }

    /// That no trace of a command is left.
    fn expect_untouched(&self) -> impl Future<Output = ()> + Send {
        async move {
            for sql in [
                "select cast(count(*) as text) from purse",
                "select cast(count(*) as text) from cqrs_outbox",
                "select cast(count(*) as text) from cqrs_command",
            ] {
                assert_eq!(self.number(sql).await, 0, "{sql}");
            }
        }
    }
}

/// Statements that all engines understand.
pub(crate) trait Statements: Send {
    fn execute(
        &mut self,
        sql: &'static str,
        values: &[i64],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    fn number(
        &mut self,
        sql: &'static str,
        values: &[i64],
    ) -> impl Future<Output = Result<Option<i64>, sqlx::Error>> + Send;
}

pub(crate) const PURSE: &str =
    "create table purse (id bigint primary key, amount bigint not null check (amount >= 0))";
