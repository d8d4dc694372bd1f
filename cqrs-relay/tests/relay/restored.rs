//! Rows that somebody puts back into the outbox while a relay runs.

use std::time::Duration;

use sqlx::Executor;

use crate::{bed::Bed, patient};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_put_back_with_its_old_id_is_sent() {
    let mut bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    bed.save("account", 0..10).await;
    bed.pool
        .execute("create table kept as select * from cqrs_outbox where id <= 3")
        .await
        .unwrap();
    let mut config = patient();
    config.reread_interval = Duration::from_millis(50);
    bed.relay(config);
    ledger.read(10).await;
    bed.until("empty", |status| status.backlog == 0).await;
    bed.pool
        .execute("insert into cqrs_outbox select * from kept")
        .await
        .unwrap();
    for _ in 0..3 {
        ledger.next().await;
    }
    bed.until("empty again", |status| status.backlog == 0).await;
}
