//! A master's database with its tables, and the program.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use cqrs_core::{SecretUrl, database::sqlite::SqliteConfig};
#[cfg(feature = "servers")]
use cqrs_outbox::postgres::PostgresStore;
use cqrs_outbox::{
    OutboxStore, migrate,
    source::{ReadModel, SourceModel, SourceStore},
    sqlite::SqliteStore,
};
use cqrs_tests::{
    database::Database,
    process::{Process, binary},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

/// A migrated master.
pub(crate) trait World: Send + Sync + 'static {
    type Store: SourceStore + OutboxStore;

    fn store(&self) -> Self::Store;
    fn database(&self) -> &Database;
    fn directory(&self) -> &Path;

    /// One of two texts, by the database.
    fn choose(&self, postgres: &'static str, sqlite: &'static str) -> &'static str {
        match self.database() {
            Database::Postgres { .. } => postgres,
            Database::Sqlite { .. } => sqlite,
        }
    }

    /// Writes `cqrs.toml` with this model.
    fn configure(&self, model: &str) -> Result<()> {
        let mut toml = format!(
            "[broker]\nurl = \"embedded://broker.db\"\n\n[master]\ndatabase = \"{}\"\n\n",
            self.database().url()
        );
        writeln!(toml, "[[master.model]]\n{model}")?;
        Ok(std::fs::write(self.directory().join("cqrs.toml"), toml)?)
    }

    /// The stock program with these arguments.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        self.command_of("cqrs-relay", arguments)
    }

    /// A program of the workspace with these arguments.
    fn command_of(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary(program)?);
        command
            .args(arguments)
            .current_dir(self.directory())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs the program to its end.
    async fn relay(&self, arguments: &[&str]) -> Result<Ended> {
        self.relay_with(arguments, "").await
    }

    /// Runs the program to its end, with this on its standard input.
    async fn relay_with(&self, arguments: &[&str], input: &str) -> Result<Ended> {
        self.program("cqrs-relay", arguments, input).await
    }

    /// Runs a program of the workspace to its end, with this on its standard input.
    async fn program(&self, program: &str, arguments: &[&str], input: &str) -> Result<Ended> {
        let mut command = self.command_of(program, arguments)?;
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        Ended::of(child.wait_with_output().await?)
    }

    /// Starts a relay that sends what is in the outbox.
    fn sending(&self) -> Result<Process> {
        Process::start("cqrs-relay", "relay", self.directory(), &["run"], &[])
    }

    /// Runs statements that both databases understand.
    async fn run(&self, statements: &'static str) -> Result<()> {
        for statement in statements.split_terminator(';') {
            self.database().execute(statement).await?;
        }
        Ok(())
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Fails unless it did well.
    pub(crate) fn good(self) -> Result<Self> {
        ensure!(self.code == Some(0), "{self:?}");
        Ok(self)
    }

    /// Fails unless it failed and said this.
    pub(crate) fn says(self, part: &str) -> Result<Self> {
        ensure!(
            self.code == Some(1) && self.stderr.contains(part),
            "not {part:?}: {self:?}"
        );
        Ok(self)
    }
}

#[cfg(feature = "servers")]
pub(crate) struct Postgres {
    database: Database,
    directory: TempDir,
}

#[cfg(feature = "servers")]
impl Postgres {
    pub(crate) async fn create() -> Result<Self> {
        Self::on(Database::postgres().await?).await
    }

    pub(crate) async fn on(database: Database) -> Result<Self> {
        migrate(&SecretUrl::new(database.url())).await?;
        Ok(Self {
            database,
            directory: tempfile::tempdir()?,
        })
    }
}

#[cfg(feature = "servers")]
impl World for Postgres {
    type Store = PostgresStore;

    fn store(&self) -> PostgresStore {
        PostgresStore::new(cqrs_core::database::postgres::PostgresConfig::new(
            SecretUrl::new(self.database.url()),
            "test",
        ))
    }

    fn database(&self) -> &Database {
        &self.database
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }
}

pub(crate) struct Sqlite {
    database: Database,
    directory: TempDir,
}

impl Sqlite {
    pub(crate) async fn create() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = Database::sqlite(&directory.path().join("master.db")).await?;
        migrate(&SecretUrl::new(database.url())).await?;
        Ok(Self {
            database,
            directory,
        })
    }
}

impl World for Sqlite {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        SqliteStore::new(SqliteConfig::new(SecretUrl::new(self.database.url())))
    }

    fn database(&self) -> &Database {
        &self.database
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// A declared table.
pub(crate) fn model<R>(table: &str, key: &[&str]) -> ReadModel<R> {
    ReadModel::table(source(table, key))
}

pub(crate) fn source(table: &str, key: &[&str]) -> SourceModel {
    let key = key.iter().map(|&name| name.to_owned()).collect();
    SourceModel::new("thing".parse().unwrap(), table, key)
}
