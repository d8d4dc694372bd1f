//! Numbered, append-only migrations in a table of our own.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{Migrate, MigrateError, MigrationType, Migrator},
};

use crate::StoreError;

/// One file under `migrations/<database>/<side>/`.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The number its file name starts with; the same number means the same in every database.
    pub number: i64,
    /// The rest of its file name.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

/// The migrations of one side (outbox or replica) for one database.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// The table that remembers what was applied; never the user's `_sqlx_migrations`.
    pub table: &'static str,
    /// The command that brings the schema up to date, for messages.
    pub command: &'static str,
    /// All migrations, in order.
    pub migrations: &'static [Migration],
}

impl MigrationSet {
    /// The number of the newest migration.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.migrations
            .iter()
            .map(|migration| migration.number)
            .max()
            .unwrap_or(0)
    }

    /// Applies what is missing. A second run changes nothing.
    ///
    /// sqlx leaves its advisory lock held when a migration fails, so callers run this on a
    /// connection that they close afterwards.
    pub(super) async fn run<C: Migrate>(
        &self,
        connection: &mut C,
        classify: fn(sqlx::Error) -> StoreError,
    ) -> Result<(), StoreError> {
        let migrations = self.migrations.iter().map(|migration| {
            sqlx::migrate::Migration::new(
                migration.number,
                Cow::Borrowed(migration.name),
                MigrationType::Simple,
                AssertSqlSafe(migration.sql).into_sql_str(),
                false,
            )
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        migrator.dangerous_set_table_name(self.table);
        // `run` would demand `Acquire` for every lifetime, which makes the future not `Send`.
        let ran = migrator.run_direct(None, connection, false).await;
        ran.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                classify(error)
            }
            MigrateError::VersionMissing(found) => self.newer(found),
            MigrateError::VersionMismatch(number) => StoreError::Schema {
                problem: format!(
                    "migration {number} in {} was applied with another text: this database was \
                     migrated by a build that is not a release",
                    self.table
                ),
                source: Some(error.into()),
            },
            MigrateError::Dirty(number) => StoreError::Schema {
                problem: format!(
                    "migration {number} stopped half-way: undo it by hand and delete its row \
                     from {}",
                    self.table
                ),
                source: Some(error.into()),
            },
            other => StoreError::Backend(other.into()),
        })
    }

    /// Compares what was applied with what this program knows.
    pub(super) fn check(&self, applied: Option<i64>) -> Result<(), StoreError> {
        let known = self.newest();
        match applied {
            Some(found) if found == known => Ok(()),
            Some(found) if found > known => Err(self.newer(found)),
            Some(found) => Err(self.missing(&format!("at {found} of {known}"), None)),
            None => Err(self.missing("empty", None)),
        }
    }

    /// The tables are not there, or not all of them.
    pub(super) fn missing(
        &self,
        found: &str,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Schema {
            problem: format!("{} is {found}: run `{}` first", self.table, self.command),
            source,
        }
    }

    fn newer(&self, found: i64) -> StoreError {
        StoreError::Schema {
            problem: format!(
                "{} is at migration {found}, this program knows only up to {}: use the newer \
                 version of the program that migrated this database",
                self.table,
                self.newest()
            ),
            source: None,
        }
    }
}
