//! A master's file, and what its outbox says.

use std::{process::Command, time::Duration};

use cqrs_core::SecretUrl;
use cqrs_outbox::{
    capture::{Capture, CaptureState, Installed},
    migrate,
    source::SourceModel,
};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Connection, Executor, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tempfile::TempDir;

pub(super) struct Bed {
    pub(super) pool: SqlitePool,
    directory: TempDir,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) signal: String,
    pub(super) instance_pk: String,
    pub(super) revision: i64,
    pub(super) body: Value,
    pub(super) text: String,
    /// Microseconds from recording to expiry.
    pub(super) life: Option<i64>,
}

impl Line {
    pub(super) fn data(&self) -> &Value {
        &self.body["instance_data"]
    }

    /// Signal, key and revision, as `SAVE 1 0`.
    pub(super) fn short(&self) -> String {
        format!("{} {} {}", self.signal, self.instance_pk, self.revision)
    }
}

impl Bed {
    pub(super) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("master.db");
        migrate(&SecretUrl::new(format!("sqlite://{}", file.display())))
            .await
            .unwrap();
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new()
            .max_connections(3)
            .connect_with(options)
            .await
            .unwrap();
        Self { pool, directory }
    }

    /// With a table, captured.
    pub(super) async fn of(table: &str, model: &SourceModel) -> Self {
        let bed = Self::new().await;
        bed.execute(table).await;
        assert_eq!(bed.install(model).await, Installed::New);
        bed
    }

    pub(super) fn url(&self) -> SecretUrl {
        SecretUrl::new(format!("sqlite://{}", self.file()))
    }

    pub(super) fn file(&self) -> String {
        self.directory
            .path()
            .join("master.db")
            .display()
            .to_string()
    }

    pub(super) async fn connection(&self) -> SqliteConnection {
        SqliteConnection::connect(self.url().expose())
            .await
            .unwrap()
    }

    pub(super) async fn install(&self, model: &SourceModel) -> Installed {
        let mut connection = self.connection().await;
        connection.install(model).await.unwrap()
    }

    pub(super) async fn status(&self, model: &SourceModel) -> CaptureState {
        let mut connection = self.connection().await;
        connection.status(model).await.unwrap()
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.unwrap();
    }

    pub(super) async fn try_execute(&self, sql: &str) -> Result<(), String> {
        let done = self.pool.execute(AssertSqlSafe(sql.to_owned())).await;
        done.map(drop).map_err(|error| error.to_string())
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// All events, in the order of their ids.
    pub(super) async fn lines(&self) -> Vec<Line> {
        let sql = "select signal, instance_pk, revision, body, expires_at - created_at
                   from cqrs_outbox order by id";
        let rows = self.pool.fetch_all(sql).await.unwrap();
        rows.iter()
            .map(|row| {
                let text: String = row.get(3);
                Line {
                    signal: row.get(0),
                    instance_pk: row.get(1),
                    revision: row.get(2),
                    body: serde_json::from_str(&text).unwrap(),
                    text,
                    life: row.get(4),
                }
            })
            .collect()
    }

    /// [`Line::short`] of all events since the last call.
    pub(super) async fn news(&self) -> Vec<String> {
        let lines = self.lines().await;
        self.execute("delete from cqrs_outbox").await;
        lines.iter().map(Line::short).collect()
    }

    /// Runs a script with Python's own SQLite; `db` is a connection of it, in autocommit mode.
    pub(super) fn python(&self, script: &str) {
        let head = format!(
            "import sqlite3\ndb = sqlite3.connect({:?}, isolation_level=None, timeout=30)\n",
            self.file()
        );
        let output = Command::new("python3")
            .arg("-c")
            .arg(head + script)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A model that is keyed by `id`, unless the key is another one.
pub(super) fn model(table: &str, key: &[&str]) -> SourceModel {
    let key = key.iter().map(|&name| name.to_owned()).collect();
    SourceModel::new("account".parse().unwrap(), table, key)
}
