//! A broker or a database that is restarted or killed while writers write.

use std::time::Duration;

use anyhow::Result;
use cqrs_tests::{
    database::Database,
    ledger,
    postgres::TestDatabase,
    rabbitmq,
    services::Service,
    stack::Stack,
    writers::{self, Load},
};

const PATIENCE: Duration = Duration::from_mins(2);
const LOAD: Load = Load {
    writers: 6,
    transactions: 150,
    rows: 40,
};

#[tokio::test]
async fn the_broker_may_be_restarted() -> Result<()> {
    let broker = Service::rabbitmq("broker-restarted").await?;
    let stack = Stack::new(
        Database::postgres().await?,
        Database::postgres().await?,
        broker.url().to_owned(),
    )?;
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        broker.restart().await?;
        broker.kill().await?;
        broker.start().await
    };
    let (written, played) = tokio::join!(writers::write(&stack.master, LOAD), play);
    written?;
    played?;
    // And some more once it is back.
    writers::write(
        &stack.master,
        Load {
            transactions: 20,
            ..LOAD
        },
    )
    .await?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn the_replicas_database_may_be_killed() -> Result<()> {
    let server = Service::postgres("replica-killed").await?;
    let replica = Database::on(TestDatabase::create_on(server.url().to_owned()).await?).await?;
    let stack = Stack::new(
        Database::postgres().await?,
        replica,
        rabbitmq::url().expose().to_owned(),
    )?;
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        server.kill().await?;
        server.start().await
    };
    let (written, played) = tokio::join!(writers::write(&stack.master, LOAD), play);
    written?;
    played?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn the_masters_database_may_be_killed() -> Result<()> {
    let server = Service::postgres("master-killed").await?;
    let master = Database::on(TestDatabase::create_on(server.url().to_owned()).await?).await?;
    let stack = Stack::new(
        master,
        Database::postgres().await?,
        rabbitmq::url().expose().to_owned(),
    )?;
    stack.prepare().await?;
    let worker = stack.worker("worker")?;
    // A backlog first: the writers themselves are not what is tested here.
    writers::write(&stack.master, LOAD).await?;
    let relay = stack.relay("relay")?;
    ledger::in_the_middle(&stack.replica, PATIENCE).await?;
    server.kill().await?;
    server.start().await?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}
