//! What the stores of one database share: connecting, classes of errors, migrations.
//!
//! A relay or worker owns plain connections rather than a pool: each has its own timeouts, is
//! dropped on any doubt and made anew by its supervisor. (sqlx 0.9's pool keeps a connection whose
//! `begin()` was cancelled inside its transaction, and loses a permit when a silent peer never
//! answers the ping on release.)

pub mod condition;
mod identifier;
mod json_form;
mod migrations;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::{future::Future, time::Duration};

pub use identifier::{TableName, checked, quoted};
pub use json_form::{concatenated, is_postgres_integer, json_form, key_json, key_text};
pub use migrations::{Migration, MigrationSet};

use crate::StoreError;

/// Waits for an answer of the database no longer than `limit`.
///
/// # Errors
/// What `classify` makes of the driver's error; [`StoreError::Unavailable`] when the time is up,
/// after which the connection must be dropped, since an answer may still be on its way.
pub async fn within<T>(
    limit: Duration,
    classify: fn(sqlx::Error) -> StoreError,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(classify),
        Err(elapsed) => Err(StoreError::Unavailable(elapsed.into())),
    }
}

/// What a driver's error means, whichever driver's it is.
#[must_use]
pub fn classify(error: sqlx::Error) -> StoreError {
    #[cfg(feature = "postgres")]
    if let sqlx::Error::Database(database) = &error
        && database
            .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
            .is_some()
    {
        return postgres::classify(error);
    }
    #[cfg(feature = "sqlite")]
    if let sqlx::Error::Database(database) = &error
        && database
            .try_downcast_ref::<sqlx::sqlite::SqliteError>()
            .is_some()
    {
        return sqlite::classify(error);
    }
    match classify_driver(error) {
        Ok(error) => StoreError::Backend(error),
        Err(classified) => classified,
    }
}

/// The classes that do not depend on the database.
fn classify_driver(error: sqlx::Error) -> Result<Box<dyn sqlx::error::DatabaseError>, StoreError> {
    Err(match error {
        sqlx::Error::Database(error) => return Ok(error),
        sqlx::Error::Configuration(_) => StoreError::Misconfigured {
            problem: "the database URL is not usable: see `database` in cqrs.toml".to_owned(),
            source: error.into(),
        },
        sqlx::Error::Tls(_) => StoreError::Misconfigured {
            problem: "no TLS with this database: check its certificate, `sslmode` in the URL, and \
                      that the program was built with the feature `tls`"
                .to_owned(),
            source: error.into(),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable(error.into()),
        other => StoreError::Backend(other.into()),
    })
}
