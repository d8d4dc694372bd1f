//! Transactions that know what was recorded in them.

use std::{
    error::Error,
    ops::{Deref, DerefMut},
};

use cqrs_core::{CqrsId, StoreError, database::sqlite::classify};
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::record::{Mark, write};
use crate::{
    RecordError,
    bulk::RowSet,
    entry::{Answer, Earlier, Entry, Place, Restated, Unstamped},
    transaction::{Begin, BeginTransaction, OpenTransaction, Writer},
};

/// A transaction on `SQLite` that was begun with [`begin`](crate::begin).
///
/// It is used like sqlx's own, which it wraps: `&mut *tx` is the connection. Dropped without
/// [`Self::commit`], it is rolled back. Several changes of one instance that are recorded through it
/// (and not through its connection) become one event, also with one that a trigger of
/// `cqrs-relay capture` or an insert into `cqrs_record` has written in it before.
#[derive(Debug)]
pub struct RecordingTransaction<'c> {
    inner: Transaction<'c, Sqlite>,
    mark: Mark,
}

impl RecordingTransaction<'_> {
    /// The highest id of the outbox when it began.
    pub(super) const fn mark(&self) -> i64 {
        self.mark.0
    }

    /// Makes everything permanent, the events with the rest.
    ///
    /// # Errors
    /// What the database says.
    ///
    /// # Cancel safety
    /// If the future is dropped, the transaction may have been committed or not.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await
    }

    /// Takes everything back.
    ///
    /// # Errors
    /// What the database says.
    ///
    /// # Cancel safety
    /// Safe: it is rolled back in any case.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.inner.rollback().await
    }
}

impl Deref for RecordingTransaction<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.inner
    }
}

impl DerefMut for RecordingTransaction<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl OpenTransaction for RecordingTransaction<'_> {}

impl Writer for RecordingTransaction<'_> {
    async fn write(&mut self, entries: &[Entry], coalesce: bool) -> Result<Answer, RecordError> {
        write(&mut self.inner, entries, coalesce.then_some(self.mark)).await
    }

    async fn earlier(
        &mut self,
        instances: &[(&CqrsId, &str)],
    ) -> Result<Vec<Earlier>, RecordError> {
        SqliteConnection::earlier(&mut self.inner, instances).await
    }

    async fn rewrite(
        &mut self,
        instances: &[Restated<'_>],
        gone: &[Place],
        rows: &[Unstamped<'_>],
    ) -> Result<Vec<i64>, RecordError> {
        SqliteConnection::rewrite(&mut self.inner, instances, gone, rows).await
    }

    async fn lock(
        &mut self,
        cqrs_id: &str,
        instance_pks: &[String],
    ) -> Result<Vec<String>, RecordError> {
        SqliteConnection::lock(&mut self.inner, cqrs_id, instance_pks).await
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pks: &[String]) -> Result<(), RecordError> {
        SqliteConnection::unmake(&mut self.inner, cqrs_id, instance_pks).await
    }

    async fn insert(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        SqliteConnection::insert(&mut self.inner, rows).await
    }

    async fn update(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        SqliteConnection::update(&mut self.inner, rows).await
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        SqliteConnection::read_error(error)
    }
}

impl BeginTransaction for &SqlitePool {}

impl Begin for &SqlitePool {
    type Transaction = RecordingTransaction<'static>;

    async fn begin_transaction(self) -> Result<Self::Transaction, StoreError> {
        // Cancelled, it is rolled back by sqlx's own thread.
        let mut inner = self.begin_with(IMMEDIATE).await.map_err(classify)?;
        let mark = Mark::set(&mut inner).await?;
        Ok(RecordingTransaction { inner, mark })
    }
}

impl BeginTransaction for &mut SqliteConnection {}

impl<'c> Begin for &'c mut SqliteConnection {
    type Transaction = RecordingTransaction<'c>;

    async fn begin_transaction(self) -> Result<Self::Transaction, StoreError> {
        let mut inner = self.begin_with(IMMEDIATE).await.map_err(classify)?;
        let mark = Mark::set(&mut inner).await?;
        Ok(RecordingTransaction { inner, mark })
    }
}

/// Takes the write lock at once.
const IMMEDIATE: &str = "BEGIN IMMEDIATE";
