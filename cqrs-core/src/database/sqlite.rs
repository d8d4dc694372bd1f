//! `SQLite` connections.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{MigrationSet, classify_driver, within};
use crate::{SecretUrl, StoreError};

/// Where a database is and how long it may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// `sqlite://relative.db` or `sqlite:///absolute.db`.
    pub url: SecretUrl,
    /// How long a statement may wait for another process's write.
    pub busy_timeout: Duration,
}

impl SqliteConfig {
    /// The defaults: 5 s of waiting for a lock.
    #[must_use]
    pub const fn new(url: SecretUrl) -> Self {
        Self {
            url,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// Opens an existing database in WAL mode. A commit is on the disk when it returns: a worker
/// acknowledges on the strength of it.
///
/// # Errors
/// [`StoreError::Unavailable`] or [`StoreError::Misconfigured`], also when there is no such file.
pub async fn connect(config: &SqliteConfig) -> Result<SqliteConnection, StoreError> {
    let options = options(config)?;
    let connected = within(config.busy_timeout * 2, classify, options.connect()).await;
    connected.map_err(|error| match error {
        StoreError::Misconfigured { source, .. } if !options.get_filename().exists() => {
            let file = options.get_filename().display();
            let problem = format!(
                "there is no database file {file}: create it with the command `migrate`, or correct the URL"
            );
            StoreError::Misconfigured { problem, source }
        }
        error => error,
    })
}

/// Applies the missing migrations of a set on a connection of its own, making the file if there is
/// none.
///
/// # Errors
/// Any [`StoreError`]; [`StoreError::Schema`] when the database is newer than this program.
pub async fn migrate(config: &SqliteConfig, set: &MigrationSet) -> Result<(), StoreError> {
    let options = options(config)?.create_if_missing(true);
    let mut connection = within(config.busy_timeout * 2, classify, options.connect()).await?;
    let migrated = match set.run(&mut connection, classify).await {
        Ok(true) => Ok(()),
        Ok(false) => check_schema(&mut connection, set).await,
        Err(error) => Err(error),
    };
    let closed = connection.close().await.map_err(classify);
    migrated.and(closed)
}

/// Refuses a database whose schema is not the one this program knows.
///
/// # Errors
/// [`StoreError::Schema`] with the remedy, or a failure of the connection.
pub async fn check_schema(
    connection: &mut SqliteConnection,
    set: &MigrationSet,
) -> Result<(), StoreError> {
    match sqlx::query_as(set.applied()).fetch_one(connection).await {
        Ok(applied) => set.check(applied),
        Err(sqlx::Error::Database(error)) if error.message().starts_with(NO_SUCH_TABLE) => {
            Err(set.missing("missing", Some(error)))
        }
        Err(error) => Err(classify(error)),
    }
}

fn options(config: &SqliteConfig) -> Result<SqliteConnectOptions, StoreError> {
    Ok(SqliteConnectOptions::from_str(config.url.expose())
        .map_err(classify)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.busy_timeout)
        .disable_statement_logging())
}

const NO_SUCH_TABLE: &str = "no such table";

/// The class of a driver's error.
#[must_use]
pub fn classify(error: sqlx::Error) -> StoreError {
    let error = match classify_driver(error) {
        Ok(error) => error,
        Err(classified) => return classified,
    };
    // The primary result code is the low byte (https://www.sqlite.org/rescode.html).
    let code = error
        .code()
        .and_then(|code| code.parse::<u32>().ok())
        .unwrap_or(0)
        & 0xff;
    match code {
        // BUSY, LOCKED
        5 | 6 => StoreError::Conflict(error),
        // IOERR, FULL, PROTOCOL
        10 | 13 | 15 => StoreError::Unavailable(error),
        // PERM, READONLY, CANTOPEN, AUTH, NOTADB
        3 | 8 | 14 | 23 | 26 => StoreError::Misconfigured {
            problem: format!("the database file cannot be used: {}", error.message()),
            source: error,
        },
        1 if error.message().starts_with(NO_SUCH_TABLE)
            || error.message().contains("no column named")
            || error.message().starts_with("no such column") =>
        {
            StoreError::Schema {
                problem: error.message().to_owned(),
                source: Some(error),
            }
        }
        _ => StoreError::Backend(error),
    }
}
