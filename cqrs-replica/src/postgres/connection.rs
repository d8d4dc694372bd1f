//! A worker's connection.

use std::{borrow::Cow, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_core::{
    CqrsId, QueueName, StoreError,
    database::postgres::{PostgresConfig, connect},
};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{
    PostgresReplica, bookkeeping, broker_letters, catalog,
    error::{self, run},
    letters,
    limits::Limits,
    obstructing, references, sql,
    work::PostgresWork,
};
use crate::{
    Letter, LetterFilter, LetterGroup, LetterState, ReplicaStatus, TableModel, WorkerBeat,
    apply::{Backend, InTheWay, Pace},
    letter::{NewLetter, TakenLetter, Violated},
    table::{Description, Obstructing, Reference, Row, TablePlan},
};

/// How much longer than the server we wait for it to end a statement.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A connection with its limits.
#[derive(Debug)]
pub struct PostgresConnection {
    connection: PgConnection,
    config: Arc<PostgresConfig>,
    limit: Duration,
    /// The server's process and when it started.
    process: (i32, DateTime<Utc>),
}

impl PostgresConnection {
    pub(super) async fn new(
        mut connection: PgConnection,
        config: Arc<PostgresConfig>,
    ) -> Result<Self, StoreError> {
        let limit = config.statement_timeout + GRACE;
        let identity = sqlx::query_as(sql::IDENTITY);
        let process = run(limit, identity.fetch_one(&mut connection)).await?;
        Ok(Self {
            connection,
            config,
            limit,
            process,
        })
    }
}

impl Backend for PostgresConnection {
    const TIMES_STATEMENTS: bool = true;
    type Store = PostgresReplica;
    type Work<'w> = PostgresWork<'w>;

    fn refuses(error: &StoreError) -> bool {
        error::refuses(error)
    }

    async fn begin(&mut self) -> Result<PostgresWork<'_>, StoreError> {
        // Each statement must see what was committed while it waited for a lock.
        let begin = self
            .connection
            .begin_with("begin isolation level read committed");
        let transaction = run(self.limit, begin).await?;
        let limits = Limits::configured(&self.config);
        Ok(PostgresWork::new(
            transaction,
            self.limit,
            limits,
            &self.config,
        ))
    }

    async fn begin_at(
        &mut self,
        pace: Pace,
        own_code: bool,
    ) -> Result<PostgresWork<'_>, StoreError> {
        let limits = Limits::configured(&self.config).at(pace, own_code);
        // One round trip. The numbers are ours.
        let begin = AssertSqlSafe(format!(
            "begin isolation level read committed; set local lock_timeout = {}; \
             set local statement_timeout = {}",
            limits.lock.as_millis().max(1),
            limits.statement.as_millis().max(1),
        ));
        let transaction = run(self.limit, self.connection.begin_with(begin)).await?;
        Ok(PostgresWork::new(
            transaction,
            self.limit,
            limits,
            &self.config,
        ))
    }

    fn is_hindered(error: &StoreError) -> bool {
        error::is_timed_out(error)
    }

    async fn reconnect(&mut self) -> Result<(), StoreError> {
        let connection = connect(&self.config).await?;
        let (pid, started_at) = self.process;
        *self = Self::new(connection, Arc::clone(&self.config)).await?;
        let end = sqlx::query(sql::END_PROCESS).bind(pid).bind(started_at);
        run(self.limit, end.execute(&mut self.connection)).await?;
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
        catalog::takes(&mut self.connection, self.limit, plan, column, value).await
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
        references::columns(&mut self.connection, self.limit, violated).await
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
        let _ = run(GRACE, self.connection.close()).await;
    }
}
