//! Relays at work on a real SQLite and a real embedded broker.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bed;
mod capricious;
mod failing;
mod left_out;
mod outages;
mod restored;
mod sharing;

use std::time::Duration;

use cqrs_relay::RelayConfig;

use crate::bed::{Bed, saved};

/// A lease that no busy machine lets lapse.
fn patient() -> RelayConfig {
    let mut config = RelayConfig::default();
    config.lease = Duration::from_mins(1);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_in_order_and_leave_the_outbox() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    for _ in 0..20 {
        bed.save("account", 0..50).await;
    }
    let shutdown = bed.relay(patient());
    ledger.read(1000).await;
    assert_eq!(ledger.deliveries, 1000, "no duplicates in quiet times");
    bed.until("empty", |status| status.backlog == 0).await;
    shutdown.drain.cancel();
    bed.ended().await.unwrap();
    let status = bed.status().await;
    assert!(status.relays.is_empty(), "retired: {status:?}");
    assert_eq!(status.free_slots, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_smaller_than_the_backlog_is_enough() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    for _ in 0..30 {
        // One hot instance among others.
        bed.record(vec![saved("account", 0)]).await;
        bed.save("account", 0..10).await;
    }
    let mut config = RelayConfig::default();
    (config.batch_size, config.window, config.publishers) = (3, 5, 3);
    bed.relay(config);
    ledger.read(330).await;
    bed.until("empty", |status| status.backlog == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_while_it_runs_comes_too() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    bed.relay(RelayConfig::default());
    for round in 1..=20 {
        bed.save("account", 0..5).await;
        ledger.read(round * 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_once_loses_nothing() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    for _ in 0..10 {
        bed.save("account", 0..100).await;
    }
    let shutdown = bed.relay(RelayConfig::default());
    ledger.read(10).await;
    shutdown.stop.cancel();
    assert!(bed.ended().await.is_err());
    bed.relay(RelayConfig::default());
    ledger.read(1000).await;
}
