//! A master's database with a table, and what its outbox says.

use std::fmt::Debug;

use cqrs_outbox::{
    OpenTransaction,
    capture::{Capture, CaptureState, Installed},
    source::SourceModel,
};

/// A database with the outbox's tables, and a table of ours:
/// `account(id, name, note, active)`, keyed by its id.
pub(crate) trait Fixture: Sized + Send + Sync + 'static {
    /// Its transactions.
    type Tx: OpenTransaction + Debug + 'static;

    /// A plain connection.
    type Connection: Capture + 'static;

    /// Whether triggers fold a change into what the transaction has recorded before. `SQLite` does not
    /// let them know the transaction: each of their changes is an event.
    const TRIGGERS_FOLD: bool;

    /// Fresh, migrated.
    async fn new() -> Self;

    /// A connection for capture.
    async fn connection(&self) -> Self::Connection;

    /// Begins a transaction.
    async fn begin(&self) -> Self::Tx;

    /// Ends it.
    async fn commit(tx: Self::Tx);

    /// Runs a statement that all databases understand.
    async fn run(tx: &mut Self::Tx, sql: &str);

    /// All rows of the outbox, in id order.
    async fn lines(&self) -> Vec<Line>;

    /// In a transaction of its own.
    async fn execute(&self, sql: &str) {
        let mut tx = self.begin().await;
        Self::run(&mut tx, sql).await;
        Self::commit(tx).await;
    }

    /// All events so far, which are deleted.
    async fn take(&self) -> Vec<Line> {
        let lines = self.lines().await;
        self.execute("delete from cqrs_outbox").await;
        lines
    }

    /// [`Line::short`] of [`Self::take`].
    async fn news(&self) -> Vec<String> {
        self.take().await.iter().map(Line::short).collect()
    }

    async fn install(&self, model: &SourceModel) -> Installed {
        self.connection().await.install(model).await.unwrap()
    }

    async fn status(&self, model: &SourceModel) -> CaptureState {
        self.connection().await.status(model).await.unwrap()
    }
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) signal: String,
    pub(crate) instance_pk: String,
    pub(crate) queue: Option<String>,
    pub(crate) revision: i64,
    pub(crate) forced: bool,
    pub(crate) traceparent: Option<String>,
    pub(crate) text: String,
}

impl Line {
    /// Signal, key and revision, as `SAVE 1 0`.
    pub(crate) fn short(&self) -> String {
        format!("{} {} {}", self.signal, self.instance_pk, self.revision)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Without what differs from one run to the other: its id, and the times in its body.
    pub(crate) fn timeless(&self) -> Self {
        let mut line = Self {
            id: 0,
            ..self.clone()
        };
        for start in ["\"cqrs_updated\":\"", "\"expires\":\""] {
            if let Some(at) = line.text.find(start) {
                let from = at + start.len();
                let to = from + line.text[from..].find('"').unwrap();
                line.text.replace_range(from..to, "");
            }
        }
        line
    }
}

/// The model of the table, all fields published.
pub(crate) fn account() -> SourceModel {
    model("account", &["id"])
}

pub(crate) fn model(table: &str, key: &[&str]) -> SourceModel {
    let key = key.iter().map(|&name| name.to_owned()).collect();
    SourceModel::new("account".parse().unwrap(), table, key)
}
