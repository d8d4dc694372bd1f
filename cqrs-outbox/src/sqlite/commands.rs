//! The commands of a bus in `SQLite`.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    Clock, StoreError, SystemClock, Token,
    bus::{Begun, CommandRecord, CommandStore, Kept},
    database::sqlite::classify,
};
use sqlx::SqlitePool;

use super::{
    rows::{get, uuid_text},
    sql,
    transaction::RecordingTransaction,
};
use crate::{CommandTransaction, begin, store::columns::Table};

/// Where a bus executes commands: a database with the outbox's tables, through a pool of the service's.
/// Each has the write lock of the file from its beginning.
#[derive(Debug, Clone)]
pub struct SqliteCommands {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl SqliteCommands {
    /// Through this pool.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self {
            pool,
            clock: Arc::new(SystemClock),
        }
    }

    /// Where the time is read at which a command was executed.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Forgets the commands that were executed longer ago, and says how many. One that is repeated after
    /// that is executed again, so keep them for as long as a caller may repeat them.
    ///
    /// # Errors
    /// A failure of the database; what has been forgotten until then stays so.
    ///
    /// # Cancel safety
    /// Safe: it goes on where it was with the next call.
    pub async fn forget(&self, older_than: Duration) -> Result<u64, StoreError> {
        let micros = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
        let before = self.now().saturating_sub(micros);
        let mut forgotten = 0;
        loop {
            let deleted = sqlx::query(sql::COMMAND_FORGET)
                .bind(before)
                .bind(BATCH)
                .execute(&self.pool)
                .await
                .map_err(classify)?;
            match deleted.rows_affected() {
                0 => return Ok(forgotten),
                some => forgotten += some,
            }
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }
}

/// How many are forgotten at once, so that other writers need not wait for long.
const BATCH: i64 = 10_000;

impl CommandStore for SqliteCommands {
    type Transaction = CommandTransaction<RecordingTransaction<'static>>;

    async fn begin(&self, command: &CommandRecord) -> Result<Begun<Self::Transaction>, StoreError> {
        let mut inner = begin(&self.pool).await?;
        let claimed = sqlx::query(sql::COMMAND_CLAIM)
            .bind(uuid_text(command.id))
            .bind(command.name)
            .bind(command.fingerprint.as_slice())
            .bind(self.now())
            .execute(&mut *inner)
            .await
            .map_err(classify)?;
        if claimed.rows_affected() == 1 {
            return Ok(Begun::New(CommandTransaction {
                inner,
                command: command.id,
            }));
        }
        let row = sqlx::query(sql::COMMAND_KEPT)
            .bind(uuid_text(command.id))
            .fetch_one(&mut *inner)
            .await
            .map_err(classify)?;
        inner.rollback().await.map_err(classify)?;
        let table = Table::COMMAND;
        Ok(Begun::Done(Kept {
            name: get(&row, 0)?,
            fingerprint: get(&row, 1)?,
            output: table.filled("output", get(&row, 2)?)?,
            token: table.parse("token", &table.filled("token", get(&row, 3)?)?)?,
        }))
    }

    async fn commit(
        &self,
        mut transaction: Self::Transaction,
        command: &CommandRecord,
        output: &str,
    ) -> Result<Token, StoreError> {
        let mark = transaction.inner.mark();
        let token = sqlx::query_scalar::<_, Option<String>>(sql::COMMAND_KEEP)
            .bind(uuid_text(command.id))
            .bind(output)
            .bind(mark)
            .fetch_optional(&mut *transaction.inner)
            .await
            .map_err(classify)?;
        let table = Table::COMMAND;
        let token = table.parse("token", &table.filled("token", token.flatten())?)?;
        transaction.inner.commit().await.map_err(classify)?;
        Ok(token)
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<(), StoreError> {
        transaction.inner.rollback().await.map_err(classify)
    }
}
