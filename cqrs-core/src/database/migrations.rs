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
    /// The numbers of those that only add to a schema what older programs need not know: these go on
    /// with it. Any other one makes them refuse the database.
    pub additive: &'static [i64],
}

/// How the description of an additive migration ends, where the database remembers it: an older
/// program knows nothing else of it.
const ADDITIVE: &str = " (additive)";

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

    /// Applies what is missing. A second run changes nothing. `false`: a newer program has migrated
    /// this database, and the caller checks whether this one can use it.
    ///
    /// sqlx leaves its advisory lock held when a migration fails, so callers run this on a
    /// connection that they close afterwards.
    pub(super) async fn run<C: Migrate>(
        &self,
        connection: &mut C,
        classify: fn(sqlx::Error) -> StoreError,
    ) -> Result<bool, StoreError> {
        let migrations = self.migrations.iter().map(|migration| {
            let description = if self.additive.contains(&migration.number) {
                Cow::Owned(format!("{}{ADDITIVE}", migration.name))
            } else {
                Cow::Borrowed(migration.name)
            };
            sqlx::migrate::Migration::new(
                migration.number,
                description,
                MigrationType::Simple,
                AssertSqlSafe(migration.sql).into_sql_str(),
                false,
            )
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        migrator.dangerous_set_table_name(self.table);
        // `run` would demand `Acquire` for every lifetime, which makes the future not `Send`.
        let ran = migrator.run_direct(None, connection, false).await;
        if let Err(MigrateError::VersionMissing(found)) = ran
            && found > self.newest()
        {
            return Ok(false);
        }
        ran.map(|()| true).map_err(|error| match error {
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

    /// Asks for what [`Self::check`] compares.
    pub(super) fn applied(&self) -> AssertSqlSafe<String> {
        // The table's name is a constant of ours.
        AssertSqlSafe(format!(
            "select max(version), max(version) filter (where version > {} \
             and description not like '%{ADDITIVE}') from {} where success",
            self.newest(),
            self.table
        ))
    }

    /// Compares what was applied with what this program knows: the newest migration, and the newest
    /// that is too new for it.
    pub(super) fn check(
        &self,
        (newest, too_new): (Option<i64>, Option<i64>),
    ) -> Result<(), StoreError> {
        let known = self.newest();
        match (newest, too_new) {
            (_, Some(found)) => Err(self.newer(found)),
            (Some(found), None) if found >= known => Ok(()),
            (Some(found), None) => Err(self.missing(&format!("at {found} of {known}"), None)),
            (None, None) => Err(self.missing("empty", None)),
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
