//! A broker that objects to some messages, or to all of them for a while.

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_core::{QueueName, SecretUrl, Signal};
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    rabbitmq::{Admin, unique_queue},
    services::Service,
    stack::Stack,
    wait::{Seen, until},
};
use lapin::{ExchangeKind, types::FieldTable};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(1);
const BACKLOG: &str = "select cast(count(*) as text) from cqrs_outbox";
const ATTEMPTS: &str = "select cast(coalesce(sum(attempts), 0) as text) from cqrs_outbox";
const DEAD: &str = "select cast(count(*) as text) from cqrs_outbox_dead";

/// A master, a broker of the test's own, and a queue bound to both models.
struct Site {
    broker: Service,
    stack: Stack,
    queue: QueueName,
}

impl Site {
    async fn new(name: &str) -> Result<Self> {
        let broker = Service::rabbitmq(name).await?;
        let url = broker.url().to_owned();
        let stack = Stack::new(
            Database::postgres().await?,
            Database::postgres().await?,
            url,
        )?;
        let toml = std::fs::read_to_string(stack.config())?
            .replace("[broker]\n", "[broker]\nconfirm_timeout = \"1s\"\n")
            .replace("[relay]\n", "[relay]\nmax_attempts = 3\n");
        std::fs::write(stack.config(), toml)?;
        stack.prepare().await?;
        let queue = unique_queue("objections");
        let admin = Admin::connect(&SecretUrl::new(&stack.broker)).await;
        admin
            .declare_exchange(&stack.exchange, ExchangeKind::Topic)
            .await;
        admin.declare_queue(&queue, FieldTable::default()).await;
        for key in ["account", "order"] {
            admin.bind(&queue, &stack.exchange, key).await;
        }
        admin.close().await;
        Ok(Self {
            broker,
            stack,
            queue,
        })
    }

    async fn record(&self, model: &str, ids: std::ops::Range<i64>, name: &str) -> Result<()> {
        let Database::Postgres { pool, .. } = &self.stack.master else {
            anyhow::bail!("the master is a PostgreSQL");
        };
        let mut tx = outbox::begin(pool).await?;
        for id in ids {
            let data = json!({"id": id, "name": name});
            outbox::record(&mut tx, Change::json(model, id, Signal::Save, data)).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn master(&self, what: &str, count: &'static str, value: i64) -> Result<()> {
        until(what, PATIENCE, async || {
            Ok(Seen::equal(&self.stack.master.number(count).await?, &value))
        })
        .await
    }

    /// How many messages came, and how many different ones.
    async fn received(&self) -> Result<(usize, usize)> {
        let admin = Admin::connect(&SecretUrl::new(&self.stack.broker)).await;
        let (mut all, mut ids) = (0, std::collections::HashSet::new());
        while let Some(message) = admin.get(&self.queue).await {
            all += 1;
            ids.insert(message.properties.message_id().clone());
        }
        admin.close().await;
        Ok((all, ids.len()))
    }

    async fn connections(&self) -> Result<usize> {
        let list = ["list_connections", "-q", "--no-table-headers", "pid"];
        Ok(self.broker.rabbitmqctl(&list).await?.lines().count())
    }
}

#[tokio::test]
async fn a_model_without_permission_waits_and_the_others_are_sent_once() -> Result<()> {
    let site = Site::new("broker-permission").await?;
    let (exchange, allow) = (&site.stack.exchange[..], "set_topic_permissions");
    site.broker
        .rabbitmqctl(&[allow, "cqrs", exchange, "^account$", ".*"])
        .await?;
    site.record("order", 0..20, "o").await?;
    site.record("account", 0..300, "a").await?;
    site.record("order", 20..40, "o").await?;
    let relay = site.stack.relay("relay")?;
    site.master("the accounts are sent", BACKLOG, 40).await?;
    for round in 0..5 {
        site.record("account", 0..300, "b").await?;
        site.master("and again", BACKLOG, 40).await?;
        ensure!(
            site.stack.master.number(ATTEMPTS).await? == 0,
            "round {round}"
        );
    }
    let (all, different) = site.received().await?;
    // Only those that were on their way with the first orders may come again.
    ensure!(different == 1800 && all <= 2100, "{all}, {different}");

    site.broker
        .rabbitmqctl(&[allow, "cqrs", exchange, ".*", ".*"])
        .await?;
    site.master("all are sent", BACKLOG, 0).await?;
    ensure!(site.received().await?.1 == 40, "the orders");
    relay.terminate().await
}

#[tokio::test]
async fn a_row_over_the_brokers_limit_dies_alone() -> Result<()> {
    let site = Site::new("broker-size").await?;
    let limit = "application:set_env(rabbit, max_message_size, 10000).";
    site.broker.rabbitmqctl(&["eval", limit]).await?;
    site.record("account", 0..100, "a").await?;
    site.record("account", 100..101, &"x".repeat(20_000))
        .await?;
    site.record("account", 101..200, "a").await?;
    site.record("account", 100..101, "small again").await?;
    let relay = site.stack.relay("relay")?;
    site.master("one is dead", DEAD, 1).await?;
    site.master("the others are sent", BACKLOG, 0).await?;
    let (all, different) = site.received().await?;
    ensure!(different == 200 && all <= 600, "{all}, {different}");
    let rows = site
        .stack
        .run("cqrs-relay", &["dead", "list", "--json"])
        .await?;
    ensure!(rows.contains("max_message_size"), "{rows}");
    relay.terminate().await
}

#[tokio::test]
async fn an_alarm_of_the_broker_leaves_no_trail_of_connections() -> Result<()> {
    let site = Site::new("broker-alarm").await?;
    let relay = site.stack.relay("relay")?;
    site.record("account", 0..10, "a").await?;
    site.master("it works", BACKLOG, 0).await?;
    site.broker
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0"])
        .await?;
    let before = site.connections().await?;
    site.record("account", 0..500, "b").await?;
    until("the relay says so", PATIENCE, async || {
        Ok(Seen::equal(
            &relay.log().contains("has blocked publishers"),
            &true,
        ))
    })
    .await?;
    // Several times the patience of a connection: the broker counts as one meanwhile.
    let blocked = std::time::Instant::now();
    until("time passes", PATIENCE, async || {
        site.record("account", 500..501, "c").await?;
        Ok(Seen::equal(
            &(blocked.elapsed() > Duration::from_secs(5)),
            &true,
        ))
    })
    .await?;
    ensure!(site.connections().await? == before, "more connections");
    site.broker
        .rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "2GB"])
        .await?;
    site.master("all are sent", BACKLOG, 0).await?;
    let (all, different) = site.received().await?;
    ensure!(all == different, "{all}, {different}: some came twice");
    relay.terminate().await
}
