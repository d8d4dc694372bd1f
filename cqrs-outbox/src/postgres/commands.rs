//! The commands of a bus in `PostgreSQL`.

use std::time::Duration;

use cqrs_core::{
    StoreError, Token,
    bus::{Begun, CommandRecord, CommandStore, Kept},
    database::postgres::{begin, classify},
};
use sqlx::{PgPool, Postgres, Transaction};

use super::{rows::get, sql};
use crate::{CommandTransaction, store::columns::Table};

/// Where a bus executes commands: a database with the outbox's tables, through a pool of the service's.
///
/// A statement of a handler that was cut off by a deadline goes on in the server until it ends, with its
/// locks: set a `statement_timeout` for the pool's connections.
#[derive(Debug, Clone)]
pub struct PostgresCommands {
    pool: PgPool,
    begin: &'static str,
}

impl PostgresCommands {
    /// Transactions of the database's default isolation level, READ COMMITTED if nobody has changed it:
    /// a handler that decides by what it has read locks it (`SELECT … FOR UPDATE`).
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        let begin = "BEGIN";
        Self { pool, begin }
    }

    /// With `SERIALIZABLE` transactions: handlers need no locks, and are run again where two contradict
    /// each other.
    #[must_use]
    pub fn serializable(self) -> Self {
        Self {
            begin: "BEGIN ISOLATION LEVEL SERIALIZABLE",
            ..self
        }
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
        let mut forgotten = 0;
        loop {
            let deleted = sqlx::query(sql::COMMAND_FORGET)
                .bind(micros)
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
}

/// How many are forgotten at once, so that no transaction is long.
const BATCH: i64 = 10_000;

impl CommandStore for PostgresCommands {
    type Transaction = CommandTransaction<Transaction<'static, Postgres>>;

    async fn begin(&self, command: &CommandRecord) -> Result<Begun<Self::Transaction>, StoreError> {
        let mut inner = begin(&self.pool, self.begin).await?;
        let claimed = sqlx::query(sql::COMMAND_CLAIM)
            .bind(command.id)
            .bind(command.name)
            .bind(command.fingerprint.as_slice())
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
            .bind(command.id)
            .fetch_optional(&mut *inner)
            .await
            .map_err(classify)?;
        inner.rollback().await.map_err(classify)?;
        let Some(row) = row else {
            return Err(StoreError::Conflict(
                "the command was being forgotten".into(),
            ));
        };
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
        let token = sqlx::query_scalar::<_, Option<String>>(sql::COMMAND_KEEP)
            .bind(command.id)
            .bind(output)
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
