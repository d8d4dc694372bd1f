//! Open transactions, and how to open them.

use std::future::Future;

use cqrs_core::StoreError;

pub(crate) use sealed::{Begin, Writer};

/// A transaction that changes can be recorded in: `sqlx::Transaction` over a supported database,
/// or its connection (`PgConnection`, `SqliteConnection`) while it is inside one, so that
/// `&mut tx` and `&mut *tx` both do. Sealed.
///
/// A pool, or a connection of one, is not:
///
/// ```compile_fail,E0277
/// # async fn example(mut pool: sqlx::PgPool, change: cqrs_outbox::Change) {
/// cqrs_outbox::record(&mut pool, change).await.unwrap();
/// # }
/// ```
///
/// ```compile_fail,E0277
/// # async fn example(mut pooled: sqlx::pool::PoolConnection<sqlx::Sqlite>, change: cqrs_outbox::Change) {
/// cqrs_outbox::record(&mut pooled, change).await.unwrap();
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an open transaction: the event would not be part of the change",
    label = "not an open transaction",
    note = "begin one with `let mut tx = outbox::begin(&pool).await?` or `pool.begin()`, make the \
            change in it, and record with `&mut tx`",
    note = "supported are transactions over PostgreSQL and SQLite, each behind the feature of \
            `cqrs-outbox` with that name (`postgres`, `sqlite`)"
)]
pub trait OpenTransaction: Writer {}

/// Something a transaction can be begun on: a pool. Sealed.
#[diagnostic::on_unimplemented(
    message = "no transaction can be begun on `{Self}`",
    note = "give `&PgPool`, `&SqlitePool` or `&mut SqliteConnection`; the databases are features \
            of `cqrs-outbox` (`postgres`, `sqlite`)"
)]
pub trait BeginTransaction: Begin {}

/// Begins a transaction the way the outbox likes it best.
///
/// On `SQLite` with `BEGIN IMMEDIATE`: a transaction that begins with a read and writes later fails
/// at once if another process wrote in between, however long it would have waited for a lock.
///
/// # Errors
/// A failure of the database, [`StoreError::Conflict`] where `SQLite` waited too long for another
/// writer.
///
/// # Cancel safety
/// Safe. (sqlx 0.9's own `PgPool::begin` is not: cancelled at the wrong moment, it gives a
/// connection back to the pool that is still inside the transaction, and what its next user
/// believes committed is lost. Here the call is finished in a task of its own.)
pub async fn begin<P: BeginTransaction>(pool: P) -> Result<P::Transaction, StoreError> {
    pool.begin_transaction().await
}

mod sealed {
    use std::error::Error;

    use cqrs_core::CqrsId;
    use uuid::Uuid;

    use super::{Future, StoreError};
    use crate::{
        RecordError,
        bulk::RowSet,
        entry::{Answer, Earlier, Entry, Place, Restated, Unstamped},
    };

    /// The database's half of a record.
    pub trait Writer: Send {
        /// The command that is being executed in it.
        fn command(&self) -> Option<Uuid> {
            None
        }

        /// Writes entries of different instances, or of one with the same state. With `coalesce` those
        /// of instances whose revision this transaction has raised before are left for
        /// [`Self::rewrite`]. Those that were filtered out and not live are missing from the answer.
        fn write(
            &mut self,
            entries: &[Entry],
            coalesce: bool,
        ) -> impl Future<Output = Result<Answer, RecordError>> + Send;

        /// The events of these instances that this transaction has recorded at the revision it
        /// raised, in the order of their ids.
        fn earlier(
            &mut self,
            instances: &[(&CqrsId, &str)],
        ) -> impl Future<Output = Result<Vec<Earlier>, RecordError>> + Send;

        /// Says anew of such instances whether they are live, removes rows, and writes others with the
        /// instances' stamps, anew or for the first time. Answers with their ids.
        fn rewrite(
            &mut self,
            instances: &[Restated<'_>],
            gone: &[Place],
            rows: &[Unstamped<'_>],
        ) -> impl Future<Output = Result<Vec<i64>, RecordError>> + Send;

        /// Locks instances' revisions until the end of the transaction, in the order given, making
        /// those that are not there: answers which it made.
        fn lock(
            &mut self,
            cqrs_id: &str,
            instance_pks: &[String],
        ) -> impl Future<Output = Result<Vec<String>, RecordError>> + Send;

        /// Takes back what [`Self::lock`] has made.
        fn unmake(
            &mut self,
            cqrs_id: &str,
            instance_pks: &[String],
        ) -> impl Future<Output = Result<(), RecordError>> + Send;

        /// Inserts rows, in one statement: answers how many.
        fn insert(
            &mut self,
            rows: &RowSet,
        ) -> impl Future<Output = Result<u64, RecordError>> + Send;

        /// Updates rows by their keys, in one statement: answers how many.
        fn update(
            &mut self,
            rows: &RowSet,
        ) -> impl Future<Output = Result<u64, RecordError>> + Send;

        /// What a failure of the caller's own statement in this transaction means.
        fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError;
    }

    /// The database's way to begin.
    pub trait Begin: Send {
        /// What is begun.
        type Transaction;

        /// Begins it.
        fn begin_transaction(
            self,
        ) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;
    }
}
