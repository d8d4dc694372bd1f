//! An outbox in SQLite, an embedded broker, and a ledger of what came through.

use std::{collections::HashMap, future::Future, num::NonZeroU16, sync::Arc, time::Duration};

use cqrs_core::{
    CqrsId, QueueName, SecretUrl, Signal, SystemClock,
    database::sqlite::SqliteConfig,
    transport::{
        Ack, Delivery, Subscriber, Subscription, Transport,
        embedded::{Embedded, EmbeddedConfig, EmbeddedSubscriber},
    },
    wire,
};
use cqrs_outbox::{self as outbox, Change, sqlite::SqliteStore};
use cqrs_relay::{Relay, RelayConfig, RelayError, Shutdown, new_owner, status};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions, sqlite::SqliteJournalMode};
use tokio::task::JoinSet;

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bed {
    directory: tempfile::TempDir,
    pub(crate) store: SqliteStore,
    pub(crate) broker: Embedded,
    pub(crate) pool: SqlitePool,
    relays: JoinSet<Result<(), RelayError>>,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.db");
        let url = SecretUrl::new(format!("sqlite://{}", path.display()));
        outbox::migrate(&url).await.unwrap();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(PATIENCE);
        Self {
            store: SqliteStore::new(SqliteConfig::new(url)),
            broker: Embedded::new(EmbeddedConfig::new(directory.path().join("broker.db"))),
            pool: SqlitePool::connect_with(options).await.unwrap(),
            relays: JoinSet::new(),
            directory,
        }
    }

    pub(crate) fn path(&self, file: &str) -> std::path::PathBuf {
        self.directory.path().join(file)
    }

    /// Starts a relay; cancelling `drain` of the answer stops it.
    pub(crate) fn relay(&mut self, config: RelayConfig) -> Shutdown {
        let shutdown = Shutdown::new();
        let relay = Relay::new(
            self.store.clone(),
            self.broker.clone(),
            config,
            Arc::new(SystemClock),
            new_owner(&SystemClock),
        );
        self.relays.spawn(relay.run(shutdown.clone()));
        shutdown
    }

    /// Waits for the next relay to end.
    pub(crate) async fn ended(&mut self) -> Result<(), RelayError> {
        within(self.relays.join_next()).await.unwrap().unwrap()
    }

    pub(crate) async fn record(&self, changes: Vec<Change>) {
        let mut tx = outbox::begin(&self.pool).await.unwrap();
        outbox::record_all(&mut tx, changes).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// One change of each of these instances.
    pub(crate) async fn save(&self, cqrs_id: &str, keys: std::ops::Range<i64>) {
        self.record(keys.map(|key| saved(cqrs_id, key)).collect())
            .await;
    }

    pub(crate) async fn queue(&self, name: &str, cqrs_id: &str) -> Ledger {
        let subscription = Subscription {
            queue: QueueName::new(name).unwrap(),
            dead_letter_queue: None,
            cqrs_ids: vec![CqrsId::new(cqrs_id).unwrap()],
            prefetch: NonZeroU16::new(1000).unwrap(),
        };
        let subscriber = self.broker.subscriber(&subscription).await.unwrap();
        Ledger {
            subscriber,
            seen: HashMap::new(),
            deliveries: 0,
        }
    }

    pub(crate) async fn status(&self) -> status::Status {
        status::status(&self.store).await.unwrap()
    }

    /// Looks again and again until the status is as wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&status::Status) -> bool,
    ) -> status::Status {
        let started = std::time::Instant::now();
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "never: {what}; {status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn saved(cqrs_id: &str, key: i64) -> Change {
    Change::json(
        cqrs_id,
        key,
        Signal::Save,
        serde_json::json!({ "id": key, "name": "x" }),
    )
}

/// What a consumer saw, and whether the first deliveries of each instance came in order and without
/// a hole.
pub(crate) struct Ledger {
    subscriber: EmbeddedSubscriber,
    /// By instance: the next revision.
    seen: HashMap<String, i64>,
    pub(crate) deliveries: usize,
}

impl Ledger {
    pub(crate) async fn next(&mut self) -> Delivery {
        let delivery = within(self.subscriber.next()).await.unwrap();
        self.deliveries += 1;
        if self.deliveries.is_multiple_of(100) {
            self.subscriber.ack(Ack::UpTo(delivery.tag)).await.unwrap();
        }
        let event = wire::decode(&delivery.body).unwrap();
        let next = self.seen.entry(event.key.canonical()).or_default();
        assert!(
            event.revision.0 <= *next,
            "a hole: {event:?}, expected {next}"
        );
        if event.revision.0 == *next {
            *next += 1;
        }
        delivery
    }

    /// An instance's revisions before `next` are known not to come.
    pub(crate) fn excuse(&mut self, key: &str, next: i64) {
        self.seen.insert(key.to_owned(), next);
    }

    /// Reads until so many different events have come.
    pub(crate) async fn read(&mut self, events: i64) {
        while self.seen.values().sum::<i64>() < events {
            self.next().await;
        }
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("takes too long")
}
