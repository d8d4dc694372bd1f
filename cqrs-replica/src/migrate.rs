//! The schema of the replica side.

use cqrs_core::{SecretUrl, StoreError};

/// Brings the replica's own tables up to date; a second run changes nothing. The same as
/// `cqrs-replica migrate`, and as applying the files under `migrations/` by hand in a fresh
/// database (which then are not noted in `cqrs_replica_migrations`: choose one way).
///
/// Takes `postgres://…` and `sqlite://…`, if built with that feature. A `SQLite` file is made if
/// there is none.
///
/// # Errors
/// [`StoreError::Schema`] if the database was migrated by a newer version;
/// [`StoreError::Misconfigured`] for a URL of another kind; otherwise a failure of the database.
///
/// # Cancel safety
/// Safe: each migration is a transaction.
pub async fn migrate(url: &SecretUrl) -> Result<(), StoreError> {
    match url.scheme().as_str() {
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            use crate::postgres::{PostgresConfig, migrate};
            migrate(&PostgresConfig::new(url.clone(), "cqrs-replica migrate")).await
        }
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            use crate::sqlite::{SqliteConfig, migrate};
            migrate(&SqliteConfig::new(url.clone())).await
        }
        scheme => Err(StoreError::Misconfigured {
            problem: format!(
                "cqrs-replica knows no database `{scheme}://`: give postgres:// or sqlite://, and \
                 build it with that feature"
            ),
            source: "unknown scheme".into(),
        }),
    }
}
