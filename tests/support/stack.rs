//! A master, a broker and a replica with names of their own, and the processes between them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    database::Database,
    ledger,
    process::{Process, outcome, run},
    writers,
};

/// One scenario's world. Everything in it goes when it is dropped.
#[derive(Debug)]
pub struct Stack {
    /// The master's database.
    pub master: Database,
    /// The replica's database.
    pub replica: Database,
    /// The broker's URL.
    pub broker: String,
    /// The exchange; no other test has it.
    pub exchange: String,
    /// The replica's queue; no other test has it.
    pub queue: String,
    /// Where configuration, logs and files are.
    pub directory: TempDir,
    /// What the processes find in their environment besides.
    pub environment: Vec<(String, String)>,
}

impl Stack {
    /// On the servers of `CQRS_TEST_POSTGRES` and `CQRS_TEST_RABBITMQ`.
    ///
    /// # Errors
    /// They are not there.
    pub async fn servers() -> Result<Self> {
        let broker = crate::rabbitmq::url().expose().to_owned();
        Self::new(
            Database::postgres().await?,
            Database::postgres().await?,
            broker,
        )
    }

    /// In files of its own, without a server.
    ///
    /// # Errors
    /// They cannot be made.
    pub async fn embedded() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = |name: &str| directory.path().join(name);
        let master = Database::sqlite(&file("master.db")).await?;
        let replica = Database::sqlite(&file("replica.db")).await?;
        let broker = format!("embedded://{}", file("broker.db").display());
        Self::build(master, replica, broker, directory)
    }

    /// On databases and a broker that the caller brings.
    ///
    /// # Errors
    /// They cannot be reached.
    pub fn new(master: Database, replica: Database, broker: String) -> Result<Self> {
        Self::build(master, replica, broker, tempfile::tempdir()?)
    }

    fn build(
        master: Database,
        replica: Database,
        broker: String,
        directory: TempDir,
    ) -> Result<Self> {
        let id = Uuid::from_u128(fastrand::u128(..)).simple();
        let stack = Self {
            master,
            replica,
            broker,
            exchange: format!("exchange_{id}"),
            queue: format!("queue_{id}"),
            directory,
            environment: Vec::new(),
        };
        std::fs::write(stack.config(), stack.toml())?;
        Ok(stack)
    }

    /// Migrates both sides with the stock binaries and makes the tables of [`writers`] and
    /// [`ledger`].
    ///
    /// # Errors
    /// A binary or the database refuses.
    pub async fn prepare(&self) -> Result<()> {
        self.migrate().await?;
        self.master.execute(writers::TABLE).await?;
        self.replica.execute(ledger::TABLES[0]).await?;
        let ledger = match &self.replica {
            Database::Postgres { .. } => ledger::TABLES[1],
            Database::Sqlite { .. } => ledger::SQLITE_LEDGER,
        };
        self.replica.execute(ledger).await?;
        Ok(())
    }

    /// Migrates both sides with the stock binaries.
    ///
    /// # Errors
    /// A binary refuses.
    pub async fn migrate(&self) -> Result<()> {
        self.run("cqrs-relay", &["migrate"]).await?;
        self.run("cqrs-replica", &["migrate"]).await?;
        Ok(())
    }

    /// Starts a relay.
    ///
    /// # Errors
    /// There is no such binary.
    pub fn relay(&self, label: &str) -> Result<Process> {
        self.start("cqrs-relay", label)
    }

    /// Starts a worker that applies `account` to a table and `account_step` to a ledger.
    ///
    /// # Errors
    /// There is no such binary.
    pub fn worker(&self, label: &str) -> Result<Process> {
        let program = match self.replica {
            Database::Postgres { .. } => "ledger-worker-postgres",
            Database::Sqlite { .. } => "ledger-worker-sqlite",
        };
        self.start(program, label)
    }

    /// Starts `<program> run`.
    ///
    /// # Errors
    /// There is no such binary.
    pub fn start(&self, program: &str, label: &str) -> Result<Process> {
        let config = self.config();
        let config = config.to_str().context("the path is UTF-8")?;
        Process::start(
            program,
            label,
            self.directory.path(),
            &["run", "--config", config],
            &self.environment,
        )
    }

    /// Runs a program of the workspace to its end, with this configuration.
    ///
    /// # Errors
    /// It fails.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let config = self.config();
        let mut all = vec!["--config", config.to_str().context("the path is UTF-8")?];
        all.extend_from_slice(arguments);
        run(program, self.directory.path(), &all, &self.environment).await
    }

    /// Runs a program of the workspace to its end, with this configuration: its exit code, and what it
    /// wrote to standard output and to standard error.
    ///
    /// # Errors
    /// There is no such program, or a signal has ended it.
    pub async fn outcome(
        &self,
        program: &str,
        arguments: &[&str],
    ) -> Result<(i32, String, String)> {
        let config = self.config();
        let mut all = vec!["--config", config.to_str().context("the path is UTF-8")?];
        all.extend_from_slice(arguments);
        outcome(program, self.directory.path(), &all, &self.environment).await
    }

    /// The configuration that all processes read.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("cqrs.toml")
    }

    fn toml(&self) -> String {
        let Self {
            master,
            replica,
            broker,
            exchange,
            queue,
            ..
        } = self;
        format!(
            "[broker]\nurl = \"{broker}\"\nexchange = \"{exchange}\"\n\n\
             [master]\ndatabase = \"{}\"\n\n\
             [relay]\nretry_initial = \"100ms\"\n\n\
             [replica]\ndatabase = \"{}\"\nqueue = \"{queue}\"\nretry_initial = \"100ms\"\n\n\
             [[replica.model]]\ncqrs_id = \"account\"\ntable = \"account_copy\"\nkey = \"id\"\n\
             columns = {{ id = \"id\", name = \"name\", version = \"version\", note = \"remark\" }}\n",
            master.url(),
            replica.url(),
        )
    }
}
