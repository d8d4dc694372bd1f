//! A relay's connection to an outbox in `PostgreSQL`.

use std::time::Duration;

use cqrs_core::{
    CqrsId, SLOTS, Slot, StoreError,
    database::{postgres::classify, within},
};
use sqlx::{
    Connection, PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use crate::{
    Backlog, Census, DeadRow, Due, Epoch, Fetched, Instance, OutboxRow, OutboxSession, Owner,
    Position, Retried, Settled, Settlement,
};

/// One connection of a relay to an outbox in `PostgreSQL`.
#[derive(Debug)]
pub struct PostgresSession {
    pub(super) connection: PgConnection,
    /// The last one answered, against which slots are acquired.
    pub(super) census: Census,
    /// How long an answer may take: longer than the server lets it.
    pub(super) patience: Duration,
    /// Over how many ids a fetch may walk. Fewer than all, once the server has ended one that took too
    /// long: a held snapshot keeps deleted rows in the index, and a new series walks over all of them.
    pub(super) walk: i64,
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl PostgresSession {
    pub(super) fn new(connection: PgConnection, patience: Duration) -> Self {
        Self {
            connection,
            census: Census::default(),
            patience,
            walk: i64::MAX,
        }
    }

    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<PgRow, StoreError> {
        within(
            self.patience,
            classify,
            statement.fetch_one(&mut self.connection),
        )
        .await
    }

    pub(super) async fn rows(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, StoreError> {
        within(
            self.patience,
            classify,
            statement.fetch_all(&mut self.connection),
        )
        .await
    }

    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        within(
            self.patience,
            classify,
            statement.execute(&mut self.connection),
        )
        .await
        .map(|done| done.rows_affected())
    }
}

impl OutboxSession for PostgresSession {
    async fn beat(
        &mut self,
        owner: Owner,
        lease: Duration,
        publishing: bool,
    ) -> Result<Census, StoreError> {
        self.renew(owner, lease, publishing).await?;
        self.census = self.look_around().await?;
        if self.census.leases.len() < usize::from(SLOTS) {
            self.restore_leases().await?;
            self.census = self.look_around().await?;
        }
        Ok(self.census.clone())
    }

    async fn acquire(
        &mut self,
        owner: Owner,
        seen: &[(Slot, Epoch)],
    ) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        self.take_over(owner, seen).await
    }

    async fn release(&mut self, owner: Owner, held: &[(Slot, Epoch)]) -> Result<(), StoreError> {
        self.give_back(owner, held).await
    }

    async fn retire(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.forget(owner).await
    }

    async fn fetch_without(
        &mut self,
        models: &[CqrsId],
        slots: &[Slot],
        after: &Position,
        limit: usize,
    ) -> Result<Fetched, StoreError> {
        self.fetch_after(models, slots, after, limit).await
    }

    async fn blocked(&mut self, slots: &[Slot]) -> Result<Vec<Instance>, StoreError> {
        self.blocked_instances(slots).await
    }

    async fn due(&mut self, slots: &[Slot], limit: usize) -> Result<Due, StoreError> {
        self.due_rows(slots, limit).await
    }

    async fn of_instances(
        &mut self,
        instances: &[Instance],
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.rows_of(instances, limit).await
    }

    async fn settle(
        &mut self,
        settlement: &Settlement,
        held: &[(Slot, Epoch)],
    ) -> Result<Settled, StoreError> {
        self.write(settlement, held).await
    }

    async fn backlog(&mut self) -> Result<Backlog, StoreError> {
        self.count().await
    }

    async fn dead_list(&mut self, limit: usize) -> Result<Vec<DeadRow>, StoreError> {
        self.list_dead(limit).await
    }

    async fn dead_show(&mut self, id: i64) -> Result<Option<DeadRow>, StoreError> {
        self.show_dead(id).await
    }

    async fn dead_retry(
        &mut self,
        ids: Option<&[i64]>,
        force: bool,
    ) -> Result<Retried, StoreError> {
        self.retry_dead(ids, force).await
    }

    async fn dead_discard(&mut self, ids: Option<&[i64]>) -> Result<u64, StoreError> {
        self.discard_dead(ids).await
    }

    async fn close(self) {
        // The server notices by itself what this cannot tell it.
        let _ = within(self.patience, classify, self.connection.close()).await;
    }
}
