//! Many writers on few rows, several relays and workers, and processes that come, go and die. The
//! ledger proves that nothing was lost, nothing applied twice, and everything seen in order.

use std::time::Duration;

use anyhow::Result;
use cqrs_tests::{
    ledger,
    stack::Stack,
    writers::{self, Load},
};

const PATIENCE: Duration = Duration::from_secs(90);

/// A load that takes long enough for something to happen in the middle of it.
const STORM: Load = Load {
    writers: 10,
    transactions: 120,
    rows: 40,
};
/// `SQLite` has one writer at a time.
const BREEZE: Load = Load {
    writers: 4,
    transactions: 60,
    rows: 20,
};

async fn ends_well(stack: &Stack) -> Result<()> {
    let events = ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    anyhow::ensure!(events > 300, "only {events} events were recorded");
    ledger::verify(&stack.master, &stack.replica).await
}

async fn two_relays_and_two_workers_keep_order(stack: Stack, load: Load) -> Result<()> {
    stack.prepare().await?;
    let processes = [
        stack.worker("worker-1")?,
        stack.worker("worker-2")?,
        stack.relay("relay-1")?,
        stack.relay("relay-2")?,
    ];
    writers::write(&stack.master, load).await?;
    ends_well(&stack).await?;
    for process in processes {
        process.terminate().await?;
    }
    Ok(())
}

async fn a_relay_may_join_and_another_leave(stack: Stack, load: Load) -> Result<()> {
    stack.prepare().await?;
    let worker = stack.worker("worker")?;
    let first = stack.relay("relay-1")?;
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        let second = stack.relay("relay-2")?;
        first.terminate().await?;
        anyhow::Ok(second)
    };
    let (written, second) = tokio::join!(writers::write(&stack.master, load), play);
    written?;
    let second = second?;
    ends_well(&stack).await?;
    second.terminate().await?;
    worker.terminate().await
}

async fn processes_may_be_terminated_and_started_again(stack: Stack, load: Load) -> Result<()> {
    stack.prepare().await?;
    let worker = stack.worker("worker")?;
    let relay = stack.relay("relay")?;
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        relay.terminate().await?;
        worker.terminate().await?;
        anyhow::Ok((stack.worker("worker-again")?, stack.relay("relay-again")?))
    };
    let (written, again) = tokio::join!(writers::write(&stack.master, load), play);
    written?;
    let (worker, relay) = again?;
    ends_well(&stack).await?;
    relay.terminate().await?;
    worker.terminate().await
}

async fn processes_may_be_killed(stack: Stack, load: Load) -> Result<()> {
    stack.prepare().await?;
    let (doomed_worker, worker) = (stack.worker("worker-doomed")?, stack.worker("worker")?);
    let (doomed_relay, relay) = (stack.relay("relay-doomed")?, stack.relay("relay")?);
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        doomed_relay.kill().await?;
        doomed_worker.kill().await
    };
    let (written, killed) = tokio::join!(writers::write(&stack.master, load), play);
    written?;
    killed?;
    ends_well(&stack).await?;
    relay.terminate().await?;
    worker.terminate().await
}

/// A stopped writer on `SQLite` stops all writers, so this is for servers only.
#[cfg(feature = "servers")]
async fn a_relay_may_be_paused_for_longer_than_its_lease(stack: Stack, load: Load) -> Result<()> {
    use rustix::process::Signal;

    stack.prepare().await?;
    let worker = stack.worker("worker")?;
    let (paused, other) = (stack.relay("relay-paused")?, stack.relay("relay")?);
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        paused.signal(Signal::STOP)
    };
    let (written, stopped) = tokio::join!(writers::write(&stack.master, load), play);
    written?;
    stopped?;
    // The other one sends everything, what the paused one had in its hands included.
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    paused.signal(Signal::CONT)?;
    writers::write(&stack.master, load).await?;
    ends_well(&stack).await?;
    paused.terminate().await?;
    other.terminate().await?;
    worker.terminate().await
}

mod embedded {
    use super::*;

    #[tokio::test]
    async fn two_relays_and_two_workers_keep_order() -> Result<()> {
        super::two_relays_and_two_workers_keep_order(Stack::embedded().await?, BREEZE).await
    }

    #[tokio::test]
    async fn a_relay_may_join_and_another_leave() -> Result<()> {
        super::a_relay_may_join_and_another_leave(Stack::embedded().await?, BREEZE).await
    }

    #[tokio::test]
    async fn processes_may_be_terminated_and_started_again() -> Result<()> {
        super::processes_may_be_terminated_and_started_again(Stack::embedded().await?, BREEZE).await
    }

    #[tokio::test]
    async fn processes_may_be_killed() -> Result<()> {
        super::processes_may_be_killed(Stack::embedded().await?, BREEZE).await
    }
}

#[cfg(feature = "servers")]
mod servers {
    use super::*;

    #[tokio::test]
    async fn two_relays_and_two_workers_keep_order() -> Result<()> {
        super::two_relays_and_two_workers_keep_order(Stack::servers().await?, STORM).await
    }

    #[tokio::test]
    async fn a_relay_may_join_and_another_leave() -> Result<()> {
        super::a_relay_may_join_and_another_leave(Stack::servers().await?, STORM).await
    }

    #[tokio::test]
    async fn processes_may_be_terminated_and_started_again() -> Result<()> {
        super::processes_may_be_terminated_and_started_again(Stack::servers().await?, STORM).await
    }

    #[tokio::test]
    async fn processes_may_be_killed() -> Result<()> {
        super::processes_may_be_killed(Stack::servers().await?, STORM).await
    }

    #[tokio::test]
    async fn a_relay_may_be_paused_for_longer_than_its_lease() -> Result<()> {
        super::a_relay_may_be_paused_for_longer_than_its_lease(Stack::servers().await?, STORM).await
    }
}

#[cfg(feature = "servers")]
mod quorum {
    use super::*;

    async fn stack() -> Result<Stack> {
        let mut stack = Stack::servers().await?;
        let quorum = ("CQRS_BROKER_QUEUE_TYPE".to_owned(), "quorum".to_owned());
        stack.environment.push(quorum);
        Ok(stack)
    }

    #[tokio::test]
    async fn processes_may_be_terminated_and_started_again() -> Result<()> {
        super::processes_may_be_terminated_and_started_again(stack().await?, STORM).await
    }

    #[tokio::test]
    async fn processes_may_be_killed() -> Result<()> {
        super::processes_may_be_killed(stack().await?, STORM).await
    }
}
