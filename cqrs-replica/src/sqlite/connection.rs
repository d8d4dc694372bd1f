//! A worker's connection.

use std::{borrow::Cow, sync::Arc, time::Duration};

use chrono::TimeDelta;
use cqrs_core::{
    CqrsId, QueueName, StoreError,
    database::sqlite::{SqliteConfig, connect},
};
use serde_json::value::RawValue;
use sqlx::{Connection, SqliteConnection as Driver};
use uuid::Uuid;

use super::{
    SqliteReplica, bookkeeping, broker_letters, catalog,
    error::{self, run},
    letters, obstructing, references,
    work::SqliteWork,
};
use crate::{
    Letter, LetterFilter, LetterGroup, LetterState, ReplicaStatus, TableModel, WorkerBeat,
    apply::{Backend, InTheWay},
    letter::{NewLetter, TakenLetter, Violated},
    table::{Description, Obstructing, Reference, Row, TablePlan},
};

/// How long a statement may take beside its wait for the lock.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection with its limits.
#[derive(Debug)]
pub struct SqliteConnection {
    connection: Driver,
    config: Arc<SqliteConfig>,
    limit: Duration,
}

impl SqliteConnection {
    pub(super) fn new(connection: Driver, config: Arc<SqliteConfig>) -> Self {
        let limit = config.busy_timeout + LIMIT;
        Self {
            connection,
            config,
            limit,
        }
    }
}

impl Backend for SqliteConnection {
    const TIMES_STATEMENTS: bool = false;
    type Store = SqliteReplica;
    type Work<'w> = SqliteWork<'w>;

    fn refuses(error: &StoreError) -> bool {
        error::refuses(error)
    }

    async fn begin(&mut self) -> Result<SqliteWork<'_>, StoreError> {
        // A deferred transaction that has read fails when another process has written meanwhile.
        let begin = self.connection.begin_with("begin immediate");
        let transaction = run(self.limit, begin).await?;
        Ok(SqliteWork::new(transaction, self.limit))
    }

    /// Whoever writes holds the whole file: no other message would get through.
    fn is_hindered(_: &StoreError) -> bool {
        false
    }

    async fn reconnect(&mut self) -> Result<(), StoreError> {
        self.connection = connect(&self.config).await?;
        Ok(())
    }

    async fn describe(&mut self, table: &TableModel) -> Result<Option<Description>, StoreError> {
        catalog::describe(&mut self.connection, self.limit, table).await
    }

    async fn takes(
        &mut self,
        plan: &TablePlan,
        column: usize,
        value: &RawValue,
    ) -> Result<bool, StoreError> {
        Ok(catalog::takes(plan, column, value))
    }

    async fn orphans(
        &mut self,
        plan: &TablePlan,
        reference: &Reference,
        rows: &[Vec<Cow<'_, RawValue>>],
    ) -> Result<Option<Vec<usize>>, StoreError> {
        references::orphans(&mut self.connection, self.limit, plan, reference, rows).await
    }

    async fn obstructing(
        &mut self,
        plan: &TablePlan,
        rows: &Obstructing<'_>,
        model: Option<&TablePlan>,
        items: &[Row<'_>],
    ) -> Result<Option<InTheWay>, StoreError> {
        obstructing::find(&mut self.connection, self.limit, plan, rows, model, items).await
    }

    async fn constraint_columns(&mut self, violated: &Violated) -> Result<Vec<String>, StoreError> {
        // The messages of SQLite name columns or constraints, and never both.
        let _ = violated;
        Ok(Vec::new())
    }

    async fn held(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        letters::held(&mut self.connection, self.limit, queue, cqrs_id).await
    }

    async fn next_due(&mut self, queue: &QueueName) -> Result<Option<TimeDelta>, StoreError> {
        letters::next_due(&mut self.connection, self.limit, queue).await
    }

    async fn beat(&mut self, beat: &WorkerBeat) -> Result<(), StoreError> {
        bookkeeping::beat(&mut self.connection, self.limit, beat).await
    }

    async fn retire(&mut self, worker: Uuid) -> Result<(), StoreError> {
        bookkeeping::retire(&mut self.connection, self.limit, worker).await
    }

    async fn prune_tombstones(
        &mut self,
        queue: &QueueName,
        older_than: Duration,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let connection = &mut self.connection;
        bookkeeping::prune_tombstones(connection, self.limit, queue, older_than, limit).await
    }

    async fn prune_letters(
        &mut self,
        queue: &QueueName,
        state: LetterState,
        older_than: Duration,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let connection = &mut self.connection;
        bookkeeping::prune_letters(connection, self.limit, queue, state, older_than, limit).await
    }

    async fn status(&mut self, queue: &QueueName) -> Result<ReplicaStatus, StoreError> {
        bookkeeping::status(&mut self.connection, self.limit, queue).await
    }

    async fn letters(
        &mut self,
        queue: &QueueName,
        id: Option<i64>,
        state: Option<LetterState>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        letters::list(&mut self.connection, self.limit, queue, id, state, limit).await
    }

    async fn retry(&mut self, queue: &QueueName, ids: Option<&[i64]>) -> Result<u64, StoreError> {
        letters::retry(&mut self.connection, self.limit, queue, ids).await
    }

    async fn discard(&mut self, queue: &QueueName, ids: Option<&[i64]>) -> Result<u64, StoreError> {
        letters::discard(&mut self.connection, self.limit, queue, ids).await
    }

    async fn letters_page(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        letters::page(
            &mut self.connection,
            self.limit,
            queue,
            filter,
            (after, limit),
        )
        .await
    }

    async fn letter_groups(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        ids: Option<&[i64]>,
    ) -> Result<Vec<LetterGroup>, StoreError> {
        letters::groups(&mut self.connection, self.limit, queue, filter, ids).await
    }

    async fn purge(&mut self, queue: &QueueName, ids: &[i64]) -> Result<u64, StoreError> {
        letters::purge(&mut self.connection, self.limit, queue, ids).await
    }

    async fn take_unpublished(
        &mut self,
        queue: &QueueName,
        cqrs_ids: &[CqrsId],
        hold: Duration,
        limit: usize,
    ) -> Result<Vec<TakenLetter>, StoreError> {
        let connection = &mut self.connection;
        broker_letters::take(connection, self.limit, queue, cqrs_ids, (hold, limit)).await
    }

    async fn mark_published(
        &mut self,
        queue: &QueueName,
        published: &[(i64, Uuid)],
    ) -> Result<(), StoreError> {
        broker_letters::mark(&mut self.connection, self.limit, queue, published).await
    }

    async fn import(
        &mut self,
        queue: &QueueName,
        letters: &[NewLetter<'_>],
        retry: bool,
    ) -> Result<u64, StoreError> {
        broker_letters::import(&mut self.connection, self.limit, queue, letters, retry).await
    }

    async fn close(self) {
        // Nothing is left to lose: what was committed is, the rest is rolled back.
        let _ = run(self.limit, self.connection.close()).await;
    }
}
