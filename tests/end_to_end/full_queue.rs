//! A queue that is full, and a healthy one of the same model.

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_tests::{
    database::Database,
    rabbitmq::{self, Admin},
    stack::Stack,
    wait::{Seen, until},
};
use lapin::{
    ExchangeKind,
    types::{AMQPValue, FieldTable},
};

const ROWS: i64 = 200;

#[tokio::test]
async fn a_full_queue_does_not_multiply_the_messages_of_others() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.migrate().await?;
    let Database::Postgres { pool, .. } = &stack.master else {
        anyhow::bail!("on PostgreSQL");
    };
    sqlx::query(
        "select cqrs_record('account', to_json(n), json_build_object('id', n))
         from generate_series(1, $1) as n",
    )
    .bind(ROWS)
    .execute(pool)
    .await?;
    let admin = Admin::connect(&rabbitmq::url()).await;
    let healthy = rabbitmq::unique_queue("healthy");
    let full = rabbitmq::unique_queue("full");
    let mut limits = FieldTable::default();
    limits.insert("x-max-length".into(), AMQPValue::LongInt(5));
    limits.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    admin
        .declare_exchange(&stack.exchange, ExchangeKind::Topic)
        .await;
    admin.declare_queue(&healthy, FieldTable::default()).await;
    admin.declare_queue(&full, limits).await;
    for queue in [&healthy, &full] {
        admin.bind(queue, &stack.exchange, "account").await;
    }
    let relay = stack.relay("relay")?;
    // A slow consumer makes room for one after the other.
    until("all have got through", Duration::from_mins(2), async || {
        while admin.get(&full).await.is_some() {}
        let rows = stack
            .master
            .number("select cast(count(*) as text) from cqrs_outbox")
            .await?;
        Ok(Seen::equal(&rows, &0))
    })
    .await?;
    relay.terminate().await?;
    let mut copies = 0;
    while admin.get(&healthy).await.is_some() {
        copies += 1;
    }
    admin.delete_queue(&healthy).await;
    admin.delete_queue(&full).await;
    admin.delete_exchange(&stack.exchange).await;
    admin.close().await;
    ensure!(copies <= 6 * ROWS, "{copies} copies of {ROWS} rows");
    Ok(())
}
