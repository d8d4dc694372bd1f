//! Servers, databases, links and processes of the campaign, all of its own.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use cqrs_tests::{
    database::Database,
    link::{self, Link},
    postgres::TestDatabase,
    process::Process,
    services::Service,
    stack::Stack,
};
use rustix::process::Signal;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::Mutex;

use super::{ledger::Ledger, tables};

/// The two sides that have a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Master,
    Replica,
}

/// A relay or a worker, with links of its own to its database and the broker.
pub(super) struct Node {
    program: &'static str,
    pub(super) label: String,
    pub(super) side: Side,
    pub(super) database: Link,
    pub(super) broker: Link,
    process: Mutex<Option<Process>>,
}

pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) ledger: Ledger,
    pub(super) stack: Stack,
    pub(super) master: Service,
    pub(super) replica: Service,
    pub(super) broker: Service,
}

/// Waits of the product that are shortened, so that a round of the campaign stays short.
const SETTINGS: [(&str, &str); 3] = [
    (
        "[broker]\n",
        "[broker]\nconfirm_timeout = \"5s\"\nheartbeat = \"4s\"\n",
    ),
    (
        "[replica]\n",
        "[replica]\ngap_wait = \"5s\"\nretry_max = \"2s\"\n",
    ),
    ("[relay]\n", "[relay]\nretry_max = \"2s\"\n"),
];

impl World {
    pub(super) async fn new(relays: usize, workers: usize) -> Result<Self> {
        let (master, replica, broker) = tokio::try_join!(
            database_server("campaign-master"),
            database_server("campaign-replica"),
            Service::rabbitmq("campaign-broker"),
        )?;
        let stack = Stack::new(
            Database::on(TestDatabase::create_on(master.url().to_owned()).await?).await?,
            Database::on(TestDatabase::create_on(replica.url().to_owned()).await?).await?,
            broker.url().to_owned(),
        )?;
        let toml = std::fs::read_to_string(stack.config())?;
        let (mut toml, _) = toml
            .split_once("[[replica.model]]")
            .map(|(before, after)| (before.to_owned(), after.to_owned()))
            .unwrap_or_default();
        for (section, with) in SETTINGS {
            ensure!(toml.contains(section), "no section {section}");
            toml = toml.replace(section, with);
        }
        toml.push_str(tables::MODELS);
        std::fs::write(stack.config(), toml)?;
        stack.migrate().await?;
        for statement in tables::MASTER {
            stack.master.execute(statement).await?;
        }
        for statement in tables::REPLICA {
            stack.replica.execute(statement).await?;
        }
        stack
            .run("cqrs-relay", &["capture", "install", "--all"])
            .await?;
        let mut nodes = Vec::new();
        for number in 1..=workers {
            nodes.push(
                Node::new(
                    &stack,
                    "campaign-worker",
                    Side::Replica,
                    format!("worker-{number}"),
                )
                .await?,
            );
        }
        for number in 1..=relays {
            nodes.push(
                Node::new(
                    &stack,
                    "cqrs-relay",
                    Side::Master,
                    format!("relay-{number}"),
                )
                .await?,
            );
        }
        let world = Self {
            nodes,
            ledger: Ledger::default(),
            stack,
            master,
            replica,
            broker,
        };
        for node in &world.nodes {
            world.start(node).await?;
        }
        Ok(world)
    }

    pub(super) const fn server(&self, side: Side) -> &Service {
        match side {
            Side::Master => &self.master,
            Side::Replica => &self.replica,
        }
    }

    pub(super) const fn database(&self, side: Side) -> &Database {
        match side {
            Side::Master => &self.stack.master,
            Side::Replica => &self.stack.replica,
        }
    }

    /// A session of the test's own, past the links, as soon as the server gives one.
    pub(super) async fn session(&self, side: Side) -> Result<PgConnection> {
        for _ in 0..300 {
            if let Ok(session) = PgConnection::connect(self.database(side).url()).await {
                return Ok(session);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("no session of the {side:?}'s database within 30 s");
    }

    pub(super) async fn start(&self, node: &Node) -> Result<()> {
        let (broker, database) = (&self.stack.broker, self.database(node.side).url());
        let variable = match node.side {
            Side::Master => "CQRS_MASTER_DATABASE",
            Side::Replica => "CQRS_REPLICA_DATABASE",
        };
        let counters = self.counters(node);
        let config = self.stack.config();
        let started = Process::start(
            node.program,
            &node.label,
            self.stack.directory.path(),
            &["run", "--config", &config.to_string_lossy()],
            &[
                (variable.to_owned(), node.database.url(database)?),
                ("CQRS_BROKER_URL".to_owned(), node.broker.url(broker)?),
                (
                    "CQRS_TEST_COUNTERS".to_owned(),
                    counters.to_string_lossy().into_owned(),
                ),
            ],
        )?;
        let before = node.process.lock().await.replace(started);
        ensure!(before.is_none(), "{} ran already", node.label);
        Ok(())
    }

    /// Where a worker writes its counters at its end.
    pub(super) fn counters(&self, node: &Node) -> std::path::PathBuf {
        let name = format!("{}.counters", node.label);
        self.stack.directory.path().join(name)
    }

    /// All processes run, and none has ended by itself.
    pub(super) async fn expect_running(&self) -> Result<()> {
        for node in &self.nodes {
            match &mut *node.process.lock().await {
                Some(process) => process.expect_running()?,
                None => bail!("{} does not run", node.label),
            }
        }
        Ok(())
    }

    /// Ends all processes in good order.
    pub(super) async fn terminate(&self) -> Result<()> {
        for node in &self.nodes {
            if let Some(process) = node.process.lock().await.take() {
                process.terminate().await?;
            }
        }
        Ok(())
    }

    /// Where logs are kept after a failure.
    pub(super) fn keep_logs(&self) -> Result<std::path::PathBuf> {
        let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/campaign");
        std::fs::create_dir_all(&kept)?;
        for entry in std::fs::read_dir(self.stack.directory.path())? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), kept.join(entry.file_name()))?;
            }
        }
        Ok(kept.canonicalize()?)
    }
}

impl Node {
    async fn new(stack: &Stack, program: &'static str, side: Side, label: String) -> Result<Self> {
        let database = match side {
            Side::Master => &stack.master,
            Side::Replica => &stack.replica,
        };
        Ok(Self {
            program,
            label,
            side,
            database: Link::to(link::server(database.url())?).await?,
            broker: Link::to(link::server(&stack.broker)?).await?,
            process: Mutex::new(None),
        })
    }

    pub(super) async fn kill(&self) -> Result<()> {
        match self.process.lock().await.take() {
            Some(process) => process.kill().await,
            None => bail!("{} does not run", self.label),
        }
    }

    pub(super) async fn signal(&self, signal: Signal) -> Result<()> {
        match &*self.process.lock().await {
            Some(process) => process.signal(signal),
            None => bail!("{} does not run", self.label),
        }
    }
}

/// One with few slots, so that they can be taken.
async fn database_server(name: &str) -> Result<Service> {
    let server = Service::postgres(name).await?;
    let mut session = PgConnection::connect(server.url()).await?;
    session
        .execute("alter system set max_connections = 90")
        .await?;
    session.close().await?;
    server.restart().await?;
    Ok(server)
}
