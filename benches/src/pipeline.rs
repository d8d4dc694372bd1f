//! A master, a relay, a worker and a replica in one process, on the servers of the environment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use cqrs_core::{
    CqrsId, QueueName, SecretUrl, Shutdown, Signal, SystemClock,
    database::postgres::{self, PostgresConfig},
    transport::{
        Subscriber, Subscription, Transport,
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use cqrs_outbox::{self as outbox, Change, postgres::PostgresStore};
use cqrs_relay::{Relay, RelayConfig};
use cqrs_replica::{Model, Models, TableModel, Worker, WorkerConfig, postgres::PostgresReplica};
use cqrs_tests::{database::Database, postgres::TestDatabase, rabbitmq, wait};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) struct Pipeline {
    pub(crate) master: Database,
    pub(crate) replica: Database,
    pub(crate) broker: String,
    transport: RabbitMq,
    queue: QueueName,
}

/// A connection as relay and worker open theirs, so that all measure the same thing.
pub(crate) async fn connect(database: &Database) -> Result<PgConnection> {
    let config = PostgresConfig::new(SecretUrl::new(database.url()), "bench");
    Ok(postgres::connect(&config).await?)
}

/// A relay or a worker.
pub(crate) struct Service {
    shutdown: Shutdown,
    task: JoinHandle<Result<()>>,
}

impl Service {
    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.drain.cancel();
        self.task.await?
    }
}

/// Rows of about 150 bytes.
pub(crate) fn rows(count: u32) -> Vec<Value> {
    let row = |id: u32| {
        json!({"id": id, "name": format!("Account number {id} of the bench, Zoë & sons"),
               "status": "active", "balance": format!("{id}.25")})
    };
    (0..count).map(row).collect()
}

impl Pipeline {
    pub(crate) async fn create() -> Result<Self> {
        let master = Database::on(TestDatabase::create().await?).await?;
        let replica = Database::on(TestDatabase::create().await?).await?;
        outbox::migrate(&SecretUrl::new(master.url())).await?;
        cqrs_replica::migrate(&SecretUrl::new(replica.url())).await?;
        replica
            .execute(
                "create table account_copy (id bigint primary key, name text not null,
                 status text not null, balance numeric not null)",
            )
            .await?;
        let url = rabbitmq::url();
        let mut config = RabbitMqConfig::new(url.clone());
        config.exchange = rabbitmq::unique("bench");
        Ok(Self {
            master,
            replica,
            broker: url.expose().to_owned(),
            transport: RabbitMq::new(config),
            queue: rabbitmq::unique_queue("bench"),
        })
    }

    /// Records rows as saves, 100 to a transaction.
    pub(crate) async fn record(&self, rows: &[Value]) -> Result<Duration> {
        let mut connection = connect(&self.master).await?;
        let started = Instant::now();
        for rows in rows.chunks(100) {
            let mut tx = connection.begin().await?;
            let changes = rows.iter().map(|row| {
                Change::json(
                    "account",
                    row["id"].as_i64().unwrap_or(0),
                    Signal::Save,
                    row,
                )
            });
            outbox::record_all(&mut tx, changes).await?;
            tx.commit().await?;
        }
        Ok(started.elapsed())
    }

    /// The bodies in the outbox.
    pub(crate) async fn bodies(&self) -> Result<Vec<String>> {
        let rows = self
            .master
            .rows("select convert_from(body, 'UTF8') from cqrs_outbox order by id")
            .await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// Declares the worker's queue, as the worker will.
    pub(crate) async fn declare_queue(&self) -> Result<()> {
        let subscription = Subscription {
            queue: self.queue.clone(),
            dead_letter_queue: Some(QueueName::new(&format!("dead_letter_{}", self.queue))?),
            cqrs_ids: vec![CqrsId::new("account")?],
            prefetch: std::num::NonZeroU16::MIN,
        };
        self.transport
            .subscriber(&subscription)
            .await?
            .close()
            .await;
        Ok(())
    }

    pub(crate) fn start_relay(&self) -> Service {
        let url = SecretUrl::new(self.master.url());
        let relay = Relay::new(
            PostgresStore::new(PostgresConfig::new(url, "bench relay")),
            self.transport.clone(),
            RelayConfig::default(),
            Arc::new(SystemClock),
            cqrs_relay::new_owner(&SystemClock),
        );
        let shutdown = Shutdown::new();
        let run = relay.run(shutdown.clone());
        Service {
            shutdown,
            task: tokio::spawn(async move { Ok(run.await?) }),
        }
    }

    pub(crate) fn start_worker(&self) -> Result<Service> {
        let url = SecretUrl::new(self.replica.url());
        let table = TableModel::new("account_copy", "id");
        let worker = Worker::new(
            PostgresReplica::new(PostgresConfig::new(url, "bench worker")),
            self.transport.clone(),
            Models::new([Model::table(CqrsId::new("account")?, table)])?,
            WorkerConfig::new(self.queue.clone()),
            Arc::new(SystemClock),
            Uuid::now_v7(),
        );
        let shutdown = Shutdown::new();
        let run = worker.run(shutdown.clone());
        Ok(Service {
            shutdown,
            task: tokio::spawn(async move { Ok(Box::pin(run).await?) }),
        })
    }

    pub(crate) async fn until_outbox_is_empty(&self) -> Result<Duration> {
        let started = Instant::now();
        wait::until("the outbox is empty", PATIENCE, async || {
            let left = self
                .master
                .number("select count(*)::text from cqrs_outbox")
                .await?;
            Ok(wait::Seen::equal(&left, &0))
        })
        .await?;
        Ok(started.elapsed())
    }

    pub(crate) async fn until_applied(&self, events: i64) -> Result<Duration> {
        let started = Instant::now();
        wait::until("all events are applied", PATIENCE, async || {
            let sum = "select coalesce(sum(revision + 1), 0)::text from cqrs_replica_state";
            Ok(wait::Seen::equal(&self.replica.number(sum).await?, &events))
        })
        .await?;
        let letters = self
            .replica
            .number("select count(*)::text from cqrs_dead_letter")
            .await?;
        ensure!(letters == 0, "{letters} letters");
        Ok(started.elapsed())
    }
}
