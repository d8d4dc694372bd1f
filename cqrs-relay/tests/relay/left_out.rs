//! Rows that cannot go, and how many of them are read.

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::bed::Bed;

/// Rows of a model that no queue takes, each of an instance of its own.
const HELD: i64 = 200_000;

fn fetched(metrics: &Snapshotter) -> u64 {
    let all = metrics.snapshot().into_vec();
    let fetched = all.into_iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Counter(rows) if key.key().name() == "cqrs_relay_fetched_total" => Some(rows),
        _ => None,
    });
    fetched.unwrap_or(0)
}

// On one thread, whose recorder hears all tasks.
#[tokio::test]
async fn rows_of_a_model_without_a_queue_are_read_once_it_has_one() {
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let mut bed = Bed::new().await;
    bed.save("nobody", 0..1).await;
    sqlx::query(
        "insert into cqrs_outbox
             (message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at)
         with recursive other (n) as (select 1 union all select n + 1 from other where n < ?1 - 1)
         select printf('00000000-0000-4000-8000-%012x', n), n % 64, cqrs_id, cast(n as text), signal,
             revision, json_set(body, '$.instance_pk', n), created_at
         from cqrs_outbox cross join other
         order by n",
    )
    .bind(HELD)
    .execute(&bed.pool)
    .await
    .unwrap();

    let mut billing = bed.queue("billing", "account").await;
    for start in 0..2 {
        bed.save("account", 0..1).await;
        let shutdown = bed.relay(crate::patient());
        billing.read(start + 1).await;
        shutdown.drain.cancel();
        bed.ended().await.unwrap();
    }
    let fetched = fetched(&metrics);
    assert!(fetched < 20_000, "{fetched} rows were fetched");

    sqlx::query("delete from cqrs_outbox where id > 1000")
        .execute(&bed.pool)
        .await
        .unwrap();
    bed.relay(crate::patient());
    // Once it is known to take nothing.
    bed.save("account", 0..1).await;
    billing.read(3).await;
    let mut audit = bed.queue("audit", "nobody").await;
    audit.read(1000).await;
    bed.until("empty", |status| status.backlog == 0).await;
}
