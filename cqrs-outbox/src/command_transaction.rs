//! The transaction that a command's handler gets.

use std::{
    error::Error,
    ops::{Deref, DerefMut},
};

use cqrs_core::CqrsId;
use uuid::Uuid;

use crate::{
    RecordError,
    bulk::RowSet,
    entry::{Answer, Earlier, Entry, Place, Restated, Unstamped},
    transaction::{OpenTransaction, Writer},
};

/// An open transaction that the bus commits. Used as the one it wraps: `&mut **context.transaction` is
/// the connection, and [`record`](crate::record) takes `context.transaction`. Events recorded in it have
/// the command's id as their correlation id, unless their change or a [`Recorder`](crate::Recorder) says
/// otherwise. (Those of `cqrs_record` in SQL and of captured writes have none.)
#[derive(Debug)]
pub struct CommandTransaction<T> {
    pub(crate) inner: T,
    pub(crate) command: Uuid,
}

impl<T: Deref> Deref for CommandTransaction<T> {
    type Target = T::Target;

    fn deref(&self) -> &T::Target {
        &self.inner
    }
}

impl<T: DerefMut> DerefMut for CommandTransaction<T> {
    fn deref_mut(&mut self) -> &mut T::Target {
        &mut self.inner
    }
}

impl<T: OpenTransaction> OpenTransaction for CommandTransaction<T> {}

impl<T: OpenTransaction> Writer for CommandTransaction<T> {
    fn command(&self) -> Option<Uuid> {
        Some(self.command)
    }

    async fn write(&mut self, entries: &[Entry], coalesce: bool) -> Result<Answer, RecordError> {
        self.inner.write(entries, coalesce).await
    }

    async fn earlier(
        &mut self,
        instances: &[(&CqrsId, &str)],
    ) -> Result<Vec<Earlier>, RecordError> {
        self.inner.earlier(instances).await
    }

    async fn rewrite(
        &mut self,
        instances: &[Restated<'_>],
        gone: &[Place],
        rows: &[Unstamped<'_>],
    ) -> Result<Vec<i64>, RecordError> {
        self.inner.rewrite(instances, gone, rows).await
    }

    async fn lock(
        &mut self,
        cqrs_id: &str,
        instance_pks: &[String],
    ) -> Result<Vec<String>, RecordError> {
        self.inner.lock(cqrs_id, instance_pks).await
    }

    async fn unmake(&mut self, cqrs_id: &str, instance_pks: &[String]) -> Result<(), RecordError> {
        self.inner.unmake(cqrs_id, instance_pks).await
    }

    async fn insert(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        self.inner.insert(rows).await
    }

    async fn update(&mut self, rows: &RowSet) -> Result<u64, RecordError> {
        self.inner.update(rows).await
    }

    fn read_error(error: Box<dyn Error + Send + Sync>) -> RecordError {
        T::read_error(error)
    }
}

/// Lets a handler use `?` on what `record` answers.
impl<E> From<RecordError> for cqrs_core::bus::Failure<E> {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Store(error) => Self::Store(error),
            other => Self::other(other),
        }
    }
}
