//! Nobody's failure: the database or the broker does not answer for a while.

use std::time::Duration;

use cqrs_core::{
    RetryPolicy, SecretUrl,
    database::sqlite::SqliteConfig,
    transport::embedded::{Embedded, EmbeddedConfig},
};
use cqrs_outbox::sqlite::SqliteStore;
use cqrs_relay::{RelayConfig, RelayError};
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bed::Bed;

/// A relay whose broker does not answer takes nothing from one that can reach its own, until it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_a_broker_takes_no_slots() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    bed.relay(RelayConfig::default());
    bed.until("one", |status| status.free_slots == 0).await;
    let other = bed.path("other.db");
    let locked = lock(other.clone()).await;
    let mut hasty = EmbeddedConfig::new(other);
    hasty.busy_timeout = Duration::from_millis(50);
    bed.broker = Embedded::new(hasty);
    bed.relay(RelayConfig::default());
    let unable = |status: &cqrs_relay::status::Status| {
        let shares: Vec<_> = status
            .relays
            .iter()
            .map(|relay| (relay.publishing, relay.slots.len()))
            .collect();
        shares.len() == 2 && shares.contains(&(true, 64)) && shares.contains(&(false, 0))
    };
    let status = bed.until("the other cannot", unable).await;
    assert!(
        status
            .to_string()
            .contains("alive, cannot publish, 0 slots")
    );
    bed.save("account", 0..100).await;
    ledger.read(100).await;
    assert!(unable(&bed.status().await));
    drop(locked);
    bed.until("both work", |status| {
        status
            .relays
            .iter()
            .all(|relay| relay.publishing && relay.slots.len() == 32)
    })
    .await;
}

/// A connection that keeps all others from writing until it is dropped.
async fn lock(path: std::path::PathBuf) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(30));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute("begin immediate").await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_answer_costs_no_attempt() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    let mut hasty = EmbeddedConfig::new(bed.path("broker.db"));
    hasty.busy_timeout = Duration::from_millis(50);
    bed.broker = Embedded::new(hasty);
    bed.save("account", 0..100).await;
    let locked = lock(bed.path("broker.db")).await;
    bed.relay(RelayConfig::default());
    bed.until("starts", |status| status.free_slots == 0).await;
    // Time for the relay to lose several connections; nothing depends on how many.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let status = bed.status().await;
    assert_eq!((status.backlog, status.retrying, status.dead), (100, 0, 0));
    drop(locked);
    ledger.read(100).await;
    bed.until("empty", |status| status.backlog == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_ends_the_tenure_and_nothing_is_lost() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    for _ in 0..20 {
        bed.save("account", 0..50).await;
    }
    let mut config = RelayConfig::default();
    config.lease = Duration::from_millis(300);
    bed.relay(config);
    ledger.read(50).await;
    let locked = lock(bed.path("shop.db")).await;
    // Longer than the lease, and than the relay waits for a beat.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(locked);
    ledger.read(1000).await;
    bed.until("empty", |status| status.backlog == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_has_is_not_sent_again_when_the_database_cannot_be_written() {
    let mut bed = Bed::new().await;
    let mut hasty = SqliteConfig::new(SecretUrl::new(format!(
        "sqlite://{}",
        bed.path("shop.db").display()
    )));
    hasty.busy_timeout = Duration::from_millis(50);
    bed.store = SqliteStore::new(hasty);
    for _ in 0..10 {
        bed.save("account", 0..100).await;
    }
    let mut config = crate::patient();
    config.destination_retry = RetryPolicy::reconnect(Duration::from_millis(200));
    bed.relay(config);
    bed.until("starts", |status| status.free_slots == 0).await;
    let locked = lock(bed.path("shop.db")).await;
    // From now on all rows can be read and sent, and none can be deleted.
    let mut ledger = bed.queue("billing", "account").await;
    ledger.read(1000).await;
    // Longer than the relay repeats a settlement on one connection.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(locked);
    bed.until("empty", |status| status.backlog == 0).await;
    bed.save("account", 0..1).await;
    ledger.read(1001).await;
    assert_eq!(ledger.deliveries, 1001);
}

/// Transactions of 100 ms each, one right after the other, until told to stop.
async fn write_all_the_time(path: std::path::PathBuf, stop: CancellationToken) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(30));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    while !stop.is_cancelled() {
        connection.execute("begin immediate").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection.execute("commit").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_writer_keeps_no_relay_from_its_work() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    bed.save("account", 0..500).await;
    let stop = CancellationToken::new();
    let mut writer = JoinSet::new();
    writer.spawn(write_all_the_time(bed.path("shop.db"), stop.clone()));
    let shutdown = bed.relay(RelayConfig::default());
    ledger.read(500).await;
    shutdown.drain.cancel();
    bed.ended().await.unwrap();
    let status = bed.status().await;
    assert_eq!((status.backlog, status.relays.len()), (0, 0), "{status:?}");
    stop.cancel();
    writer.join_next().await.unwrap().unwrap();
}

/// Tells a relay to stop of whose rows all are sent, and none can be deleted.
async fn stop_while_locked(bed: &mut Bed, drain_timeout: u64) -> SqliteConnection {
    let mut ledger = bed.queue("billing", "account").await;
    let mut config = crate::patient();
    config.drain_timeout = Duration::from_secs(drain_timeout);
    let shutdown = bed.relay(config);
    bed.until("starts", |status| status.free_slots == 0).await;
    bed.save("account", 0..100).await;
    let locked = lock(bed.path("shop.db")).await;
    ledger.read(100).await;
    shutdown.drain.cancel();
    locked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_cannot_write_when_it_is_to_stop_waits_until_it_can() {
    let mut bed = Bed::new().await;
    let locked = stop_while_locked(&mut bed, 60).await;
    // Longer than SQLite waits for a lock.
    tokio::time::sleep(Duration::from_secs(7)).await;
    drop(locked);
    bed.ended().await.unwrap();
    assert_eq!(bed.status().await.backlog, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_cannot_write_until_it_must_stop_says_so_and_the_rows_come_again() {
    let mut bed = Bed::new().await;
    let locked = stop_while_locked(&mut bed, 1).await;
    let ended = bed.ended().await;
    assert!(
        matches!(ended, Err(RelayError::NotDrained { unsettled }) if (1..=100).contains(&unsettled)),
        "{ended:?}"
    );
    drop(locked);
    bed.relay(RelayConfig::default());
    bed.until("empty", |status| status.backlog == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slots_of_a_dead_relay_are_taken_within_three_seconds() {
    let mut bed = Bed::new().await;
    let first = bed.relay(RelayConfig::default());
    bed.until("one", |status| status.free_slots == 0).await;
    bed.relay(RelayConfig::default());
    let share = |status: &cqrs_relay::status::Status| {
        status.relays.len() == 2 && status.relays.iter().all(|relay| relay.slots.len() == 32)
    };
    bed.until("two", share).await;
    first.stop.cancel();
    assert!(bed.ended().await.is_err());
    let died = std::time::Instant::now();
    bed.until("all with the other", |status| {
        status
            .relays
            .iter()
            .any(|relay| relay.live && relay.slots.len() == 64)
    })
    .await;
    assert!(
        died.elapsed() < Duration::from_secs(3),
        "{:?}",
        died.elapsed()
    );
}
