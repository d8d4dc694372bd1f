//! A replica and a broker in files of their own, and the master's side of the wire.
#![expect(dead_code, reason = "each test uses a part of it")]

use std::{future::Future, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, QueueName, SecretUrl,
    transport::{
        Headers, Message, Outcome, Publisher, Routing, Subscriber, Subscription, Transport,
        embedded::{Embedded, EmbeddedConfig},
    },
};
use cqrs_replica::sqlite::{SqliteConfig, SqliteReplica, migrate};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) queue: QueueName,
    pub(crate) broker: Embedded,
}

impl Site {
    /// Migrated, with a table `account (id, name, balance)`, and with a queue that takes `account`.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = Embedded::new(EmbeddedConfig::new(dir.path().join("broker.db")));
        let site = Self {
            dir,
            queue: QueueName::new("billing").unwrap(),
            broker,
        };
        migrate(&site.sqlite()).await.unwrap();
        let table =
            "create table account (id integer primary key, name text not null, balance integer)";
        site.execute(table).await;
        let subscription = Subscription {
            queue: site.queue.clone(),
            dead_letter_queue: None,
            cqrs_ids: vec!["account".parse().unwrap()],
            prefetch: std::num::NonZeroU16::MIN,
        };
        site.broker
            .subscriber(&subscription)
            .await
            .unwrap()
            .close()
            .await;
        site
    }

    pub(crate) fn database_url(&self) -> String {
        format!("sqlite://{}", self.dir.path().join("replica.db").display())
    }

    pub(crate) fn broker_url(&self) -> String {
        format!("embedded://{}", self.dir.path().join("broker.db").display())
    }

    fn sqlite(&self) -> SqliteConfig {
        SqliteConfig::new(SecretUrl::new(self.database_url()))
    }

    pub(crate) fn store(&self) -> SqliteReplica {
        SqliteReplica::new(self.sqlite())
    }

    /// A store that does not wait for locks.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not all tests use all of the site"
    )]
    pub(crate) fn impatient_store(&self) -> SqliteReplica {
        let mut config = self.sqlite();
        config.busy_timeout = Duration::from_millis(50);
        SqliteReplica::new(config)
    }

    /// A connection of the test's own.
    pub(crate) async fn connection(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.database_url())
            .await
            .unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql)
            .execute(&mut self.connection().await)
            .await
            .unwrap();
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection().await)
            .await
            .unwrap()
    }

    pub(crate) async fn publish(&self, messages: impl IntoIterator<Item = Message>) {
        let messages: Vec<_> = messages.into_iter().collect();
        let mut publisher = self.broker.publisher().await.unwrap();
        let outcomes = publisher.publish(&messages).await.unwrap();
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Outcome::Confirmed),
            "{outcomes:?}"
        );
        publisher.close().await;
    }

    pub(crate) async fn depth(&self) -> u64 {
        self.broker.depth(&self.queue).await.unwrap()
    }
}

/// A message of a counting master about an account.
pub(crate) fn account(signal: &str, id: i64, revision: i64, data: &str) -> Message {
    message(format!(
        r#"{{"signal_type":"{signal}","cqrs_id":"account","instance_pk":{id},"correlation_id":"c-{id}",
            "instance_data":{{"id":{id},"cqrs_revision":{revision},
            "cqrs_updated":"2026-11-21 10:00:00.{revision:06}+00:00"{data}}},
            "previous_data":null,"retries":0,"expires":null,"meta":null}}"#
    ))
}

pub(crate) fn save(id: i64, revision: i64) -> Message {
    account(
        "SAVE",
        id,
        revision,
        &format!(r#","name":"n{id}","balance":{revision}"#),
    )
}

/// A message with this body, whatever it is.
pub(crate) fn message(body: impl Into<Bytes>) -> Message {
    Message {
        message_id: Uuid::from_u128(next_number()),
        routing: Routing::Broadcast(CqrsId::new("account").unwrap()),
        body: body.into(),
        headers: Headers {
            trace: None,
            counted: true,
            forced: false,
        },
        timestamp: DateTime::<Utc>::UNIX_EPOCH,
    }
}

fn next_number() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until it holds, for 30 s at most.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .is_ok(),
        "never: {what}"
    );
}
