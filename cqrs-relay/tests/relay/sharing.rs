//! Several relays on one outbox.

use cqrs_relay::RelayConfig;
use tokio::task::JoinSet;

use crate::bed::{Bed, saved};

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_table_of_leases_is_filled_again() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    bed.save("account", 0..50).await;
    let empty = "delete from cqrs_relay_lease";
    sqlx::query(empty).execute(&bed.pool).await.unwrap();
    let status = bed.status().await;
    assert_eq!((status.missing_slots, status.free_slots), (64, 64));
    assert!(status.to_string().contains("64 of 64 slots are missing"));
    bed.relay(RelayConfig::default());
    ledger.read(50).await;
    // Also under a relay that holds them.
    sqlx::query(empty).execute(&bed.pool).await.unwrap();
    bed.save("account", 0..50).await;
    ledger.read(100).await;
    bed.until("all are held", |status| {
        status.free_slots == 0 && status.missing_slots == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_join_and_leave_and_die_under_load_and_order_holds() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    let mut writers = JoinSet::new();
    for writer in 0..2 {
        let pool = bed.pool.clone();
        writers.spawn(async move {
            for _ in 0..150 {
                let mut tx = cqrs_outbox::begin(&pool).await.unwrap();
                let changes: Vec<_> = (writer..40).map(|key| saved("account", key)).collect();
                cqrs_outbox::record_all(&mut tx, changes).await.unwrap();
                tx.commit().await.unwrap();
            }
        });
    }
    let first = bed.relay(RelayConfig::default());
    ledger.read(500).await;
    bed.relay(RelayConfig::default());
    bed.until("a fair share", |status| {
        status.relays.len() == 2 && status.relays.iter().all(|relay| relay.slots.len() == 32)
    })
    .await;
    ledger.read(1000).await;
    first.drain.cancel();
    bed.ended().await.unwrap();
    bed.until("the other has all", |status| {
        status.relays[0].slots.len() == 64
    })
    .await;
    let third = bed.relay(RelayConfig::default());
    bed.until("a third", |status| {
        status.relays.len() == 2 && status.free_slots == 0
    })
    .await;
    // Dies without a word.
    third.stop.cancel();
    assert!(bed.ended().await.is_err());
    ledger.read(150 * (40 + 39)).await;
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    bed.until("empty", |status| status.backlog == 0).await;
}
