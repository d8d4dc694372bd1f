//! A relay's connection to an outbox in `SQLite`.

use std::time::{Duration, Instant};

use cqrs_core::{
    CqrsId, SLOTS, Slot, StoreError,
    database::{sqlite::classify, within},
};
use sqlx::{
    AssertSqlSafe, Connection, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    Backlog, Census, DeadRow, Due, Epoch, Fetched, Instance, OutboxRow, OutboxSession, Owner,
    Position, Retried, Settled, Settlement,
};

/// One connection of a relay to an outbox in `SQLite`.
#[derive(Debug)]
pub struct SqliteSession {
    pub(super) connection: SqliteConnection,
    /// The last one answered, against which slots are acquired.
    pub(super) census: Census,
    /// How long an answer may take: longer than `SQLite` waits for a lock.
    pub(super) patience: Duration,
    /// Takes the write lock if it is free.
    begin: String,
}

/// How often a session looks whether the write lock is free. `SQLite` itself looks ten times a second
/// after a while: a program that writes one transaction after another leaves gaps that are much shorter, and
/// without a heartbeat in time a relay stops publishing.
const LOOK: Duration = Duration::from_micros(250);

/// Waits for [`LOOK`], which is too short for a timer of the runtime.
async fn look_away() {
    let slept = tokio::task::spawn_blocking(|| std::thread::sleep(LOOK)).await;
    // It neither panics nor is it cancelled while the runtime runs.
    drop(slept);
}

pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

impl SqliteSession {
    pub(super) fn new(connection: SqliteConnection, patience: Duration) -> Self {
        Self {
            connection,
            census: Census::default(),
            patience,
            // Reads go on waiting as long as they may.
            begin: format!(
                "pragma busy_timeout = 0; begin immediate; pragma busy_timeout = {}",
                (patience / 2).as_millis()
            ),
        }
    }

    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<SqliteRow, StoreError> {
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
    ) -> Result<Vec<SqliteRow>, StoreError> {
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

    /// Does several writes in one transaction, for which it takes the write lock at once: one that
    /// read first would fail as soon as another process wrote in between.
    pub(super) async fn transaction<T>(
        &mut self,
        writes: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let whole = async {
            let asked = Instant::now();
            let mut tx = loop {
                match self
                    .connection
                    .begin_with(AssertSqlSafe(self.begin.clone()))
                    .await
                    .map_err(classify)
                {
                    Err(StoreError::Conflict(_)) if asked.elapsed() < self.patience / 2 => {
                        look_away().await;
                    }
                    begun => break begun?,
                }
            };
            let written = writes(&mut tx).await?;
            tx.commit().await.map_err(classify)?;
            Ok(written)
        };
        within(self.patience, classify, async { Ok(whole.await) }).await?
    }
}

impl OutboxSession for SqliteSession {
    /// As long as it waits for another program's transaction: a file is not half open.
    fn renewal_limit(&self, _: Duration) -> Duration {
        self.patience
    }

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
        // What was written is on the disk already.
        let _ = within(self.patience, classify, self.connection.close()).await;
    }
}
