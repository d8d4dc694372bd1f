//! Connections to the broker's file, and the check that it is one.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, Row, Sqlite, SqliteConnection, Transaction,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use tokio::time::Instant;

use super::{
    config::EmbeddedConfig,
    error::{self, Fault, classify},
    sql,
};
use crate::transport::TransportError;

/// As the schema sets it: `cqrs` in ASCII.
const APPLICATION: i64 = 0x6371_7273;
/// The schema this program knows.
const VERSION: i64 = 2;

/// How long `SQLite` itself waits for a lock. Its tries get rarer, down to ten a second, so that among
/// busy writers of several processes one could wait for ever; ours start again with quick ones.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// The pause before ours.
const RETRY: Duration = Duration::from_millis(1);

/// A connection to the broker's file. A commit on it is on the disk when it returns.
#[derive(Debug)]
pub(super) struct Connection {
    inner: SqliteConnection,
    busy_timeout: Duration,
}

impl Connection {
    /// Opens the file, makes it if there is none, and refuses what is not a broker of this version.
    pub(super) async fn open(config: &EmbeddedConfig) -> Result<Self, TransportError> {
        let deadline = Instant::now() + config.busy_timeout;
        loop {
            match Self::try_open(config).await {
                // Others recover or convert the file, for which `SQLite` does not wait long.
                Err(error) if error::was_busy(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                opened => return opened.map_err(|error| named(error, config)),
            }
        }
    }

    async fn try_open(config: &EmbeddedConfig) -> Result<Self, TransportError> {
        let options = SqliteConnectOptions::new()
            .filename(&config.path)
            .create_if_missing(true)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .busy_timeout(SHORT_WAIT.min(config.busy_timeout))
            .disable_statement_logging();
        let inner = options.connect().await.map_err(classify)?;
        let mut opened = Self {
            inner,
            busy_timeout: config.busy_timeout,
        };
        opened.prepare().await?;
        Ok(opened)
    }

    /// Begins a transaction with the write lock, for which it waits as long as the settings say.
    pub(super) async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, TransportError> {
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            match sqlx::query(sql::LOCK).execute(&mut self.inner).await {
                Ok(_) => break,
                Err(error) if error::is_busy(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(classify(error)),
            }
        }
        // In two steps, since a transaction that borrows the connection cannot leave a loop.
        self.inner.begin_with(sql::ADOPT).await.map_err(classify)
    }

    /// Nothing is pending, and the file is fine without a goodbye.
    pub(super) async fn close(self) {
        let _ = self.inner.close().await;
    }

    async fn prepare(&mut self) -> Result<(), TransportError> {
        if lacking(self).await?.is_some() {
            let mut tx = self.begin().await?;
            // Another process may have been first.
            if let Some(schema) = lacking(&mut tx).await? {
                sqlx::raw_sql(schema)
                    .execute(&mut *tx)
                    .await
                    .map_err(classify)?;
            }
            tx.commit().await.map_err(classify)?;
        }
        // After the look: somebody else's database stays as it is.
        let mode: String = sqlx::query_scalar(sql::USE_WAL)
            .fetch_one(&mut self.inner)
            .await
            .map_err(classify)?;
        if mode == "wal" {
            return Ok(());
        }
        Err(error::misconfigured(
            "the broker's file must be on a local disk with shared memory (WAL)",
            Fault::NoWal,
        ))
    }
}

impl Deref for Connection {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.inner
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

/// What makes the file one of this version; an error when it is no broker's, or a newer one's.
async fn lacking(
    connection: &mut SqliteConnection,
) -> Result<Option<&'static str>, TransportError> {
    let row = sqlx::query(sql::IDENTIFY)
        .fetch_one(connection)
        .await
        .map_err(classify)?;
    let application: i64 = row.try_get(0).map_err(classify)?;
    let version: i64 = row.try_get(1).map_err(classify)?;
    let empty: bool = row.try_get(2).map_err(classify)?;
    match (application, version) {
        (APPLICATION, VERSION) => Ok(None),
        (APPLICATION, 1) => Ok(Some(sql::UPGRADE)),
        (0, 0) if empty => Ok(Some(sql::SCHEMA)),
        (APPLICATION, _) => Err(error::misconfigured(
            format!(
                "the broker's file has version {version} of the schema, this program knows \
                 {VERSION}: upgrade the program"
            ),
            Fault::Identity,
        )),
        _ => Err(error::misconfigured(
            "the broker's file is some other database: give the broker a file of its own",
            Fault::Identity,
        )),
    }
}

/// Which file it is about.
fn named(error: TransportError, config: &EmbeddedConfig) -> TransportError {
    match error {
        TransportError::Misconfigured { problem, source } => TransportError::Misconfigured {
            problem: format!("{problem} ({})", config.path.display()),
            source,
        },
        other => other,
    }
}
