//! What broker and database can do without us: the raw operations that no replication can avoid.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use lapin::{
    BasicProperties, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use sqlx::{AssertSqlSafe, PgConnection};

/// Publishes bodies to a durable queue of a classic topic exchange, persistent and confirmed, as
/// many at a time as the relay sends.
pub(crate) async fn publish(url: &str, bodies: &[String], pipeline: usize) -> Result<Duration> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (exchange, queue) = (
        cqrs_tests::rabbitmq::unique("bench"),
        cqrs_tests::rabbitmq::unique("bench"),
    );
    channel
        .exchange_declare(
            exchange.as_str().into(),
            lapin::ExchangeKind::Topic,
            ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            },
            FieldTable::default(),
        )
        .await?;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.as_str().into(), durable, FieldTable::default())
        .await?;
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            "account".into(),
            bind,
            FieldTable::default(),
        )
        .await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let started = Instant::now();
    for bodies in bodies.chunks(pipeline) {
        let sent = bodies.iter().map(|body| {
            channel.basic_publish(
                exchange.as_str().into(),
                "account".into(),
                BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                },
                body.as_bytes(),
                properties.clone(),
            )
        });
        for confirm in try_join_all(sent).await? {
            ensure!(
                matches!(confirm.await?, Confirmation::Ack(None)),
                "not confirmed"
            );
        }
    }
    let elapsed = started.elapsed();
    channel
        .queue_delete(
            queue.as_str().into(),
            lapin::options::QueueDeleteOptions::default(),
        )
        .await?;
    channel
        .exchange_delete(
            exchange.as_str().into(),
            lapin::options::ExchangeDeleteOptions::default(),
        )
        .await?;
    connection.close(200, "".into()).await?;
    Ok(elapsed)
}

/// Upserts rows as JSON, as many to a transaction as the worker's batches hold.
pub(crate) async fn upsert(
    connection: &mut PgConnection,
    rows: &[serde_json::Value],
    batch: usize,
) -> Result<Duration> {
    sqlx::query("create table raw_copy (like account_copy including all)")
        .execute(&mut *connection)
        .await?;
    let statement =
        "insert into raw_copy select * from jsonb_populate_recordset(null::raw_copy, $1)
        on conflict (id) do update set name = excluded.name, status = excluded.status,
        balance = excluded.balance";
    let started = Instant::now();
    for rows in rows.chunks(batch) {
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(sqlx::types::Json(rows))
            .execute(&mut *connection)
            .await?;
        ensure!(
            done.rows_affected() == rows.len() as u64,
            "rows are missing"
        );
    }
    Ok(started.elapsed())
}
