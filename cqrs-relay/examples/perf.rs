//! throwaway
use std::{num::NonZeroU16, sync::Arc, time::{Duration, Instant}};
use cqrs_core::{*, transport::{*, rabbitmq::*}, database::postgres::PostgresConfig};
use cqrs_outbox::{postgres::PostgresStore};
use cqrs_relay::*;
use sqlx::{Connection, Executor, AssertSqlSafe};
#[tokio::main]
async fn main() {
    let rows: i64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let keys: i64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let lanes: u16 = std::env::args().nth(3).unwrap().parse().unwrap();
    let relays: usize = std::env::args().nth(4).unwrap().parse().unwrap();
    let pg = std::env::var("CQRS_TEST_POSTGRES").unwrap();
    let mq = std::env::var("CQRS_TEST_RABBITMQ").unwrap();
    let name = format!("relay_perf_{}", std::process::id());
    let mut admin = sqlx::PgConnection::connect(&pg).await.unwrap();
    admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let (head, query) = match pg.split_once('?') { Some((h, q)) => (h.to_owned(), format!("?{q}")), None => (pg.clone(), String::new()) };
    let base = head.rsplit_once('/').unwrap().0.to_owned();
    let url = SecretUrl::new(format!("{base}/{name}{query}"));
    cqrs_outbox::migrate(&url).await.unwrap();
    let mut db = sqlx::PgConnection::connect(url.expose()).await.unwrap();
    let body = format!("{{\"pad\":\"{}\"}}", "x".repeat(400));
    // slots: computed for each key
    for chunk in (0..keys).collect::<Vec<_>>().chunks(5000) {
        let values: Vec<String> = chunk.iter().map(|k| format!("({k}, {})", Slot::of("account", &k.to_string()).number())).collect();
        db.execute(AssertSqlSafe(format!("create table if not exists k(k bigint, slot smallint); insert into k values {}", values.join(",")).leak() as &str)).await.ok();
        for v in [values.join(",")] { let _ = v; }
    }
    db.execute(AssertSqlSafe(format!("insert into cqrs_outbox (message_id, slot, cqrs_id, instance_pk, signal, revision, body) select gen_random_uuid(), k.slot, 'account', k.k::text, 'SAVE', g / {keys}, '{body}' from generate_series(0, {rows} - 1) g join k on k.k = g % {keys} order by g"))).await.unwrap();
    db.execute("analyze").await.unwrap();
    let mut config = RabbitMqConfig::new(SecretUrl::new(mq));
    config.exchange = name.clone();
    let broker = RabbitMq::new(config);
    let subscription = Subscription { queue: QueueName::new(&name).unwrap(), dead_letter_queue: None, cqrs_ids: vec![CqrsId::new("account").unwrap()], prefetch: NonZeroU16::new(1).unwrap() };
    broker.subscriber(&subscription).await.unwrap().close().await;
    let store = PostgresStore::new(PostgresConfig::new(url, "perf"));
    let shutdown = Shutdown::new();
    let mut set = tokio::task::JoinSet::new();
    let started = Instant::now();
    for _ in 0..relays {
        let mut config = RelayConfig::default(); config.publishers = lanes;
        set.spawn(Relay::new(store.clone(), broker.clone(), config, Arc::new(SystemClock), new_owner(&SystemClock)).run(shutdown.clone()));
    }
    loop {
        let left: i64 = sqlx::query_scalar("select count(*) from cqrs_outbox").fetch_one(&mut db).await.unwrap();
        if left == 0 { break }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let t = started.elapsed();
    println!("{rows} rows {keys} keys {lanes} lanes {relays} relays: {t:?}, {:.0}/s", rows as f64 / t.as_secs_f64());
    println!("in queue {:?}", broker.depth(&QueueName::new(&name).unwrap()).await);
    shutdown.drain.cancel();
    while let Some(r) = set.join_next().await { println!("{:?}", r.unwrap()); }
    db.close().await.unwrap();
    admin.execute(AssertSqlSafe(format!("drop database {name}"))).await.unwrap();
}
