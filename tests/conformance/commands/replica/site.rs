//! A replica's database with a directory of its own, and the program run there.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use cqrs_core::{QueueName, SecretUrl, database::sqlite::SqliteConfig, stream::DumpEnd};
use cqrs_replica::{ApplyPolicy, ReplicaStore, sqlite::SqliteReplica};
use cqrs_tests::database::Database;
use tempfile::TempDir;

/// Which database.
pub(super) trait Engine: Send + Sync + 'static {
    type Store: ReplicaStore;

    fn database(directory: &TempDir) -> impl Future<Output = Database> + Send;

    fn store(database: &Database) -> Self::Store;
}

#[cfg(feature = "servers")]
pub(super) struct Postgres;

#[cfg(feature = "servers")]
impl Engine for Postgres {
    type Store = cqrs_replica::postgres::PostgresReplica;

    async fn database(_: &TempDir) -> Database {
        Database::postgres().await.unwrap()
    }

    fn store(database: &Database) -> Self::Store {
        let url = SecretUrl::new(database.url());
        let config = cqrs_core::database::postgres::PostgresConfig::new(url, "cqrs-tests");
        Self::Store::new(config)
    }
}

pub(super) struct Sqlite;

impl Engine for Sqlite {
    type Store = SqliteReplica;

    async fn database(directory: &TempDir) -> Database {
        Database::sqlite(&directory.path().join("replica.db"))
            .await
            .unwrap()
    }

    fn store(database: &Database) -> SqliteReplica {
        SqliteReplica::new(SqliteConfig::new(SecretUrl::new(database.url())))
    }
}

pub(super) const ACCOUNTS: &str =
    "create table account (id integer primary key, name text not null unique, qty integer)";

pub(super) const ACCOUNT: &str =
    "[[replica.model]]\ncqrs_id = 'account'\ntable = 'account'\nkey = 'id'\n";

/// A replica.
pub(super) struct Site<E: Engine> {
    pub(super) database: Database,
    pub(super) store: E::Store,
    directory: TempDir,
}

/// How the program ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// What it wrote, if all was well.
    #[track_caller]
    pub(super) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Its summary, whatever the exit code.
    #[track_caller]
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

impl<E: Engine> Site<E> {
    /// A migrated database, these models in `cqrs.toml`, these statements run.
    pub(super) async fn new(models: &str, statements: &[&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = E::database(&directory).await;
        let store = E::store(&database);
        let url = database.url();
        let config = format!("[replica]\ndatabase = '{url}'\nqueue = 'billing'\n{models}");
        std::fs::write(directory.path().join("cqrs.toml"), config).unwrap();
        cqrs_replica::migrate(&SecretUrl::new(url)).await.unwrap();
        for sql in statements {
            database.execute(sql).await.unwrap();
        }
        Self {
            database,
            store,
            directory,
        }
    }

    /// One with the table `account`.
    pub(super) async fn accounts() -> Self {
        Self::new(ACCOUNT, &[ACCOUNTS]).await
    }

    /// Runs the program.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        self.pipe(arguments, "")
    }

    /// Runs the program with this on its standard input.
    pub(super) fn pipe(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.program(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // It may end without reading all.
        let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let _ = writing.join().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program, in the site's directory and with nothing of our environment.
    pub(super) fn program(&self, arguments: &[&str]) -> Command {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("cqrs-replica");
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Adds lines to the last model of `cqrs.toml`.
    pub(super) fn configure(&self, lines: &str) {
        let path = self.directory.path().join("cqrs.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + lines).unwrap();
    }

    /// Writes a file and answers its path.
    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Loads this dump from a file.
    pub(super) fn load(&self, dump: &str, more: &[&str]) -> Ended {
        std::fs::write(self.directory.path().join("it.dump"), dump).unwrap();
        let arguments = ["load", "-i", "it.dump", "--json"];
        self.run(&[&arguments, more].concat())
    }

    pub(super) async fn rows(&self, sql: &'static str) -> Vec<String> {
        let rows = self.database.rows(sql).await.unwrap();
        let text = |row: &Vec<Option<String>>| {
            let cells: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("-")).collect();
            cells.join("|")
        };
        rows.iter().map(text).collect()
    }

    /// The rows of `account`.
    pub(super) async fn account(&self) -> Vec<String> {
        self.rows(
            "select cast(id as text), name, cast(qty as text) from account order by account.id",
        )
        .await
    }
}

pub(super) fn policy() -> ApplyPolicy {
    ApplyPolicy::new(QueueName::new("billing").unwrap())
}

/// A row of a dump of `account`, as ours writes it.
pub(super) fn row(id: u64, revision: u64, name: &str) -> String {
    format!(
        r#"{{"id":{id},"name":"{name}","qty":{revision},"cqrs_revision":{revision},"cqrs_updated":"{}"}}"#,
        updated(revision)
    )
}

/// The time of a revision: a second each.
pub(super) fn updated(revision: u64) -> String {
    format!("2026-11-21 01:00:{revision:02}.000000+00:00")
}

/// A dump of `account` of these rows, with its end mark.
pub(super) fn dump(rows: &[String]) -> String {
    whole(&format!("account\n{}", rows.join("\n")))
}

/// A dump with its end mark.
pub(super) fn whole(dump: &str) -> String {
    let rows = dump.lines().skip(1).filter(|line| !line.is_empty());
    let end = DumpEnd {
        rows: rows.count() as u64,
        ..DumpEnd::default()
    };
    format!("{dump}\n{end}")
}
