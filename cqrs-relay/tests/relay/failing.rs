//! Whose failure it is.

use std::time::Duration;

use cqrs_core::{RetryPolicy, Signal};
use cqrs_outbox::Change;
use cqrs_relay::{
    OnExpired, RelayConfig,
    dead::{self, Which},
    status::Status,
};

use crate::bed::{Bed, saved};

fn impatient() -> RelayConfig {
    let quick = RetryPolicy {
        initial: Duration::from_millis(20),
        ..RetryPolicy::default()
    };
    let mut config = crate::patient();
    config.retry = RetryPolicy {
        max_attempts: Some(3),
        ..quick.clone()
    };
    config.destination_retry = RetryPolicy {
        max_attempts: None,
        max: Duration::from_millis(200),
        ..quick
    };
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_replica_waits_without_attempts_and_holds_back_no_other() {
    let mut bed = Bed::new().await;
    let mut billing = bed.queue("billing", "account").await;
    for _ in 0..3 {
        bed.save("nobody", 0..400).await;
        bed.save("account", 0..100).await;
    }
    bed.relay(impatient());
    billing.read(300).await;
    let status = bed
        .until("only the rest", |status| status.backlog == 1200)
        .await;
    assert_eq!((status.retrying, status.dead), (0, 0));
    let mut audit = bed.queue("audit", "nobody").await;
    audit.read(1200).await;
    bed.until("empty", |status| status.backlog == 0).await;
    assert_eq!(audit.deliveries, 1200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_sync_without_its_queue_is_dead_at_once_and_holds_back_nothing() {
    let mut bed = Bed::new().await;
    let mut billing = bed.queue("billing", "account").await;
    bed.save("account", 0..1).await;
    let direct = Change::json("account", 0, Signal::Sync, serde_json::json!({ "id": 0 }));
    bed.record(vec![direct.to_queue("nowhere")]).await;
    bed.save("account", 0..1).await;
    bed.relay(impatient());
    billing.read(2).await;
    let dead = bed
        .until("dead", |status| status.dead == 1 && status.backlog == 0)
        .await;
    assert_eq!(dead.retrying, 0);
    let rows = dead::list(&bed.store, 10).await.unwrap();
    assert_eq!(rows[0].reason, "no_queue");
}

/// Its own size will not change by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_too_long_is_dead_at_once_and_holds_back_nothing() {
    let mut bed = Bed::new().await;
    let mut billing = bed.queue("billing", "account").await;
    bed.save("account", 0..1).await;
    let long = serde_json::json!({ "id": 0, "text": "x".repeat(2_000) });
    bed.record(vec![Change::json("account", 0, Signal::Save, long)])
        .await;
    bed.save("account", 0..1).await;
    let mut config = impatient();
    config.retry.max_attempts = None;
    config.max_message_bytes = 2_000;
    bed.relay(config);
    billing.read(1).await;
    billing.excuse("0", 2);
    billing.read(3).await;
    bed.until("dead", |status| status.dead == 1 && status.backlog == 0)
        .await;
    let rows = dead::list(&bed.store, 10).await.unwrap();
    assert_eq!((rows[0].reason.as_str(), rows[0].revision.0), ("failed", 1));
    let error = rows[0].error.as_deref().unwrap();
    assert!(
        error.contains("`broker.max_message_bytes` is 2000"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_no_broker_takes_holds_back_its_own_instance_until_it_is_dead() {
    let mut bed = Bed::new().await;
    let mut billing = bed.queue("billing", "account").await;
    bed.save("account", 0..3).await;
    bed.save("account", 0..3).await;
    let poison = "update cqrs_outbox set body = ''
        where instance_pk = '1' and revision = 0";
    sqlx::query(poison).execute(&bed.pool).await.unwrap();
    let mut config = impatient();
    config.retry.max_attempts = None;
    let shutdown = bed.relay(config);
    billing.read(4).await;
    let waits = |status: &Status| status.retrying == 1 && status.backlog == 2;
    let status = bed.until("waiting", waits).await;
    assert_eq!(status.dead, 0);
    shutdown.drain.cancel();
    bed.ended().await.unwrap();

    // Another relay knows it as blocked from the start.
    bed.save("account", 1..2).await;
    bed.relay(impatient());
    bed.until("dead", |status| status.dead == 1).await;
    billing.excuse("1", 1);
    // Four came before, one is excused, two more were waiting behind it.
    billing.read(7).await;
    bed.until("empty", |status| status.backlog == 0).await;
    let rows = dead::list(&bed.store, 10).await.unwrap();
    assert_eq!((rows[0].reason.as_str(), rows[0].revision.0), ("failed", 0));
    assert!(
        rows[0]
            .error
            .as_deref()
            .unwrap()
            .contains("the body is empty"),
        "{rows:?}"
    );
    assert_eq!(dead::discard(&bed.store, &Which::All).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_state_expires_visibly_and_older_ones_are_dropped() {
    let mut bed = Bed::new().await;
    let mut billing = bed.queue("billing", "account").await;
    for _ in 0..2 {
        bed.record(vec![saved("account", 0).expires_in(Duration::from_secs(1))])
            .await;
    }
    sqlx::query("update cqrs_outbox set expires_at = 1")
        .execute(&bed.pool)
        .await
        .unwrap();
    bed.save("account", 1..2).await;
    bed.relay(impatient());
    billing.read(1).await;
    bed.until("settled", |status| status.dead == 1 && status.backlog == 0)
        .await;
    let rows = dead::list(&bed.store, 10).await.unwrap();
    assert_eq!(
        (rows[0].reason.as_str(), rows[0].revision.0),
        ("expired", 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_row_may_be_sent_without_its_expiry() {
    let mut bed = Bed::new().await;
    let mut billing = bed.queue("billing", "account").await;
    bed.record(vec![saved("account", 0).expires_in(Duration::from_secs(1))])
        .await;
    sqlx::query("update cqrs_outbox set expires_at = 1")
        .execute(&bed.pool)
        .await
        .unwrap();
    let mut config = impatient();
    config.on_expired = OnExpired::Send;
    bed.relay(config);
    let delivery = billing.next().await;
    assert_eq!(
        cqrs_core::wire::decode(&delivery.body).unwrap().expires,
        None
    );
    bed.until("settled", |status| status.dead == 0 && status.backlog == 0)
        .await;
}
