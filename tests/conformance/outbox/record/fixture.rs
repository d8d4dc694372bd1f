//! A fresh master's database, and the few things a test does with it by hand.

use std::{fmt::Debug, task::Poll, time::Duration};

use bytes::Bytes;
use cqrs_core::{Event, SecretUrl, wire::decode};
use cqrs_outbox::{Change, Master, OpenTransaction, Recorded, Revision, Signal, Tracked};
use serde::Serialize;
use uuid::Uuid;

/// A database with the outbox's tables, and a table of ours: `account(id, name)`.
pub(crate) trait Fixture: Sized + Send + Sync + 'static {
    /// Its transactions.
    type Tx: OpenTransaction + Debug + 'static;

    /// A plain connection.
    type Connection: OpenTransaction + 'static;

    /// The directory of its statements in `cqrs-outbox/src`.
    const STATEMENTS: &'static str;

    /// What [`Self::revision`] says of an instance of which nothing was sent. With readers beside writers a
    /// mark is left that tells a dump which still sees its row; `SQLite` gives all rows their revisions first.
    const UNSENT: Option<(i64, bool)>;

    /// The type of a column for exact decimals.
    const DECIMAL: &'static str;

    /// The type of a column for bytes.
    const BYTES: &'static str;

    /// The type of a column for lengths of time.
    const INTERVAL: &'static str;

    /// The digits of a column `photo` of bytes.
    const HEX: &'static str;

    /// The seconds of a column `open` for a length of time.
    const SECONDS: &'static str;

    /// The aggregate that joins texts.
    const JOIN: &'static str;

    /// Fresh, migrated.
    async fn new() -> Self;

    /// Its address.
    fn url(&self) -> SecretUrl;

    /// Begins a transaction as the documentation says.
    fn begin(&self) -> impl Future<Output = Self::Tx> + Send;

    /// Begins one on a pool of a single connection, and is dropped after so many polls. Then
    /// inserts `account` 1 on the same pool, without a transaction.
    async fn cancel_begin_and_insert(&self, polls: usize);

    /// Ends it.
    fn commit(tx: Self::Tx) -> impl Future<Output = ()> + Send;

    /// Ends it.
    async fn rollback(tx: Self::Tx);

    /// A connection outside a transaction.
    async fn connection(&self) -> Self::Connection;

    /// Runs a statement that both databases understand.
    fn execute(tx: &mut Self::Tx, sql: &str) -> impl Future<Output = ()> + Send;

    /// The one text that a query answers.
    fn text(tx: &mut Self::Tx, sql: &str) -> impl Future<Output = Option<String>> + Send;

    /// A statement for `SQLite` in the words of this database.
    fn portable(sql: &str) -> String;

    /// What a statement needs before it runs.
    async fn prepare(&self, sql: &str) -> Result<(), sqlx::Error>;

    /// The canonical text that the database itself would make of a key, and its slot where the
    /// database can compute that; `key` is JSON.
    async fn key(&self, cqrs_id: &str, key: &serde_json::value::RawValue) -> (String, Option<u16>);

    /// All rows of the outbox, in id order.
    async fn outbox(&self) -> Vec<Line>;

    /// Revision and tombstone of an instance.
    async fn revision(&self, instance_pk: &str) -> Option<(i64, bool)>;

    /// Makes the last change of an instance look as if it had happened then.
    async fn set_updated(&self, instance_pk: &str, micros: i64);

    /// In one transaction of its own.
    async fn record(&self, change: Change) -> Recorded {
        let mut tx = self.begin().await;
        let recorded = cqrs_outbox::record(&mut tx, change).await.unwrap();
        Self::commit(tx).await;
        recorded
    }
}

/// A row of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) message_id: Uuid,
    pub(crate) slot: i64,
    pub(crate) instance_pk: String,
    pub(crate) signal: String,
    pub(crate) queue: Option<String>,
    pub(crate) revision: i64,
    pub(crate) body: Bytes,
    pub(crate) traceparent: Option<String>,
    pub(crate) forced: bool,
    /// Seconds from recording to expiry.
    pub(crate) life: Option<f64>,
}

impl Line {
    pub(crate) fn event(&self) -> Event {
        decode(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) status: &'static str,
    #[serde(skip)]
    pub(crate) shown: bool,
}

impl Account {
    pub(crate) fn new(id: i64) -> Self {
        Self {
            id,
            name: format!("account {id}"),
            status: "new",
            shown: true,
        }
    }

    pub(crate) fn named(id: i64, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::new(id)
        }
    }

    pub(crate) fn hidden(id: i64) -> Self {
        Self {
            shown: false,
            ..Self::new(id)
        }
    }
}

impl Master for Account {
    const CQRS_ID: &'static str = "account";
    const TRACKED: Tracked = Tracked::Fields(&["name", "status"]);

    fn key(&self) -> cqrs_outbox::InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        self
    }

    fn should_sync(&self) -> bool {
        self.shown
    }

    fn delete_data(&self, _: Signal, _: Option<&Self>) -> Option<serde_json::Value> {
        (!self.shown).then(|| serde_json::json!({"hidden": self.id}))
    }
}

/// The revision of what must be an event.
pub(crate) fn revision(recorded: Recorded) -> i64 {
    let Some(Revision(revision)) = recorded.revision() else {
        panic!("{recorded:?}")
    };
    revision
}

/// Polls a future so often at most, then drops it or what it came to.
pub(crate) async fn drop_after_polls<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)))
            .await
            .is_ready()
        {
            return;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}
