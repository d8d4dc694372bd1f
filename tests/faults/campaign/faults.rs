//! What is done to processes, servers and links, and how it is undone.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use cqrs_tests::link::Condition;
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::sleep;

use super::{
    world::{Side, World},
    writers::Writers,
};

/// A fault of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Process(usize, ProcessFault),
    Link(usize, Far, Condition),
    Broker(BrokerFault),
    Database(Side, DatabaseFault),
    /// Commits that do not wait for the disk.
    AsynchronousCommit,
}

/// Which server is at the other end of a process's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Far {
    Database,
    Broker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessFault {
    Killed,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerFault {
    Restarted,
    Killed,
    Paused,
    Alarm,
    ConnectionsClosed,
    QueueDeleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DatabaseFault {
    Restarted,
    Killed,
    BackendsTerminated,
    SlotsTaken,
    /// The table that the side's processes write most.
    Locked,
    /// A table that they write less.
    LockedAside,
    SnapshotHeld,
}

impl Fault {
    /// Two faults of one thing are not combined.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Process(a, _), Self::Process(b, _)) => a == b,
            (Self::Link(a, far, _), Self::Link(b, other, _)) => a == b && far == other,
            (Self::Database(a, _), Self::Database(b, _)) => a == b,
            (Self::Broker(_), Self::Broker(_))
            | (Self::AsynchronousCommit, Self::AsynchronousCommit) => true,
            _ => false,
        }
    }

    /// Whether messages are lost by it, as is documented.
    pub(super) fn loses_messages(&self) -> bool {
        *self == Self::Broker(BrokerFault::QueueDeleted)
    }

    /// Does it, and undoes it after a while.
    pub(super) async fn inflict(
        &self,
        world: &World,
        writers: &Writers,
        lasting: Duration,
    ) -> Result<()> {
        match self {
            Self::Process(at, fault) => {
                let node = &world.nodes[*at];
                match fault {
                    ProcessFault::Killed => {
                        node.kill().await?;
                        sleep(lasting / 4).await;
                        world.start(node).await
                    }
                    ProcessFault::Stopped => {
                        node.signal(Signal::STOP).await?;
                        // Longer than the lease.
                        sleep(Duration::from_secs(3) + lasting / 2).await;
                        node.signal(Signal::CONT).await
                    }
                }
            }
            Self::Link(at, far, condition) => {
                let link = match far {
                    Far::Database => &world.nodes[*at].database,
                    Far::Broker => &world.nodes[*at].broker,
                };
                link.set(*condition);
                sleep(lasting).await;
                link.mend();
                Ok(())
            }
            Self::Broker(fault) => fault.inflict(world, lasting).await,
            Self::Database(side, fault) => fault.inflict(world, *side, lasting).await,
            Self::AsynchronousCommit => {
                writers.asynchronous.send_replace(true);
                sleep(lasting).await;
                writers.asynchronous.send_replace(false);
                Ok(())
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl BrokerFault {
    async fn inflict(self, world: &World, lasting: Duration) -> Result<()> {
        let (broker, stack) = (&world.broker, &world.stack);
        match self {
            Self::Restarted => broker.restart().await,
            Self::Killed => {
                broker.kill().await?;
                sleep(lasting / 2).await;
                broker.start().await
            }
            Self::Paused => {
                broker.signal(Signal::STOP).await?;
                sleep(lasting).await;
                broker.signal(Signal::CONT).await
            }
            Self::Alarm => {
                let watermark = "set_vm_memory_high_watermark";
                broker.rabbitmqctl(&[watermark, "0"]).await?;
                sleep(lasting).await;
                broker.rabbitmqctl(&[watermark, "absolute", "2GB"]).await?;
                Ok(())
            }
            Self::ConnectionsClosed => {
                broker
                    .rabbitmqctl(&["close_all_connections", "a fault"])
                    .await?;
                Ok(())
            }
            Self::QueueDeleted => {
                broker.rabbitmqctl(&["delete_queue", &stack.queue]).await?;
                Ok(())
            }
        }
    }
}

const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
    and application_name is distinct from 'slot taken'";

impl DatabaseFault {
    async fn inflict(self, world: &World, side: Side, lasting: Duration) -> Result<()> {
        let server = world.server(side);
        match self {
            Self::Restarted => server.restart().await,
            Self::Killed => {
                server.kill().await?;
                sleep(lasting / 2).await;
                server.start().await
            }
            Self::BackendsTerminated => {
                world.session(side).await?.execute(TERMINATE).await?;
                Ok(())
            }
            Self::SlotsTaken => {
                let mut taken = Vec::new();
                let url = world.database(side).url();
                let url = format!("{url}?application_name=slot%20taken");
                let mut first = PgConnection::connect(&url).await.context("a slot")?;
                first.execute(TERMINATE).await?;
                while let Ok(slot) = PgConnection::connect(&url).await {
                    taken.push(slot);
                }
                first.execute(TERMINATE).await?;
                while let Ok(slot) = PgConnection::connect(&url).await {
                    taken.push(slot);
                }
                sleep(lasting).await;
                for slot in taken {
                    slot.close().await?;
                }
                Ok(())
            }
            Self::Locked | Self::LockedAside => {
                let table = match (side, self) {
                    (Side::Master, Self::Locked) => "cqrs_outbox",
                    (Side::Master, _) => "cqrs_relay",
                    (Side::Replica, Self::Locked) => "cqrs_replica_state",
                    (Side::Replica, _) => "parent_copy",
                };
                let mut session = world.session(side).await?;
                let mut tx = session.begin().await?;
                let lock = format!("lock table {table} in access exclusive mode");
                tx.execute(AssertSqlSafe(lock)).await?;
                sleep(lasting).await;
                Ok(tx.rollback().await?)
            }
            Self::SnapshotHeld => {
                let mut session = world.session(side).await?;
                let mut tx = session.begin().await?;
                for statement in [
                    "set transaction isolation level repeatable read",
                    "select pg_current_xact_id()",
                ] {
                    tx.execute(statement).await?;
                }
                sleep(lasting).await;
                Ok(tx.rollback().await?)
            }
        }
    }
}
