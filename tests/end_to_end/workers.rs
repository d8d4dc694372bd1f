//! `run --workers`: processes that are watched, started again, replaced and stopped.

use std::{
    fs::{read_to_string, write},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use cqrs_tests::{
    ledger,
    process::Process,
    stack::Stack,
    wait::{Seen, until},
    writers::{self, Load},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{net::TcpListener, time::timeout};

const PATIENCE: Duration = Duration::from_mins(1);
const WORKER: &str = "ledger-worker-sqlite";
const LOAD: Load = Load {
    writers: 4,
    transactions: 60,
    rows: 20,
};

/// Starts `run --workers <count>`.
fn supervised(stack: &Stack, program: &str, count: &str) -> Result<Process> {
    let config = stack.config();
    let config = config.to_str().context("the path is UTF-8")?;
    Process::start(
        program,
        "workers",
        stack.directory.path(),
        &["run", "--workers", count, "--config", config],
        &stack.environment,
    )
}

/// The children of a process, oldest first.
fn children(parent: &Process) -> Result<Vec<Pid>> {
    let pid = parent.id()?.as_raw_nonzero();
    let list = read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    // A thread that starts a child is its parent in this list, not the process.
    let mut all = list;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.file_name();
        if thread.to_str() != Some(&pid.to_string()) {
            let thread = thread.to_string_lossy().into_owned();
            let more = read_to_string(format!("/proc/{pid}/task/{thread}/children"));
            all.push_str(&more.unwrap_or_default());
        }
    }
    let pids = all.split_whitespace().map(|pid| {
        let pid = Pid::from_raw(pid.parse()?);
        pid.context("a process id is not 0")
    });
    let mut pids: Vec<_> = pids.collect::<Result<_>>()?;
    pids.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
    Ok(pids)
}

/// Whether a process still does something: one that nobody has waited for does not.
fn runs(pid: Pid) -> bool {
    let status = read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

async fn all_end(pids: &[Pid]) -> Result<()> {
    until("the workers end", PATIENCE, async || {
        let left: Vec<_> = pids.iter().filter(|pid| runs(**pid)).collect();
        Ok(if left.is_empty() {
            Seen::Yes
        } else {
            Seen::NotYet(format!("{left:?} run"))
        })
    })
    .await
}

/// Waits until so many workers say that they have started, ever.
async fn starts(parent: &Process, count: usize) -> Result<()> {
    until("the workers start", PATIENCE, async || {
        let log = parent.log();
        let seen = log.matches("the worker starts").count();
        Ok(if seen >= count {
            Seen::Yes
        } else {
            Seen::NotYet(format!("{seen} starts:\n{log}"))
        })
    })
    .await
}

async fn says(parent: &Process, text: &str) -> Result<()> {
    until("the parent tells what has happened", PATIENCE, async || {
        let log = parent.log();
        Ok(if log.contains(text) {
            Seen::Yes
        } else {
            Seen::NotYet(log)
        })
    })
    .await
}

async fn a_killed_worker_is_started_again_and_nothing_is_lost_or_applied_twice(
    stack: Stack,
    worker: &str,
) -> Result<()> {
    stack.prepare().await?;
    let parent = supervised(&stack, worker, "2")?;
    starts(&parent, 2).await?;
    let relay = stack.relay("relay")?;
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        let before = children(&parent)?;
        ensure!(before.len() == 2, "{before:?}");
        kill_process(before[0], Signal::KILL)?;
        starts(&parent, 3).await?;
        let after = children(&parent)?;
        ensure!(after.len() == 2 && after[0] == before[1], "{after:?}");
        Ok(())
    };
    let (written, played) = tokio::join!(writers::write(&stack.master, LOAD), play);
    written?;
    played?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    let log = parent.log();
    ensure!(log.contains("ERROR") && log.contains("SIGKILL"), "{log}");
    ensure!(log.contains("restarts=1"), "{log}");
    relay.terminate().await?;
    parent.terminate().await
}

mod embedded {
    use super::*;

    #[tokio::test]
    async fn a_killed_worker_is_started_again_and_nothing_is_lost_or_applied_twice() -> Result<()> {
        let stack = Stack::embedded().await?;
        super::a_killed_worker_is_started_again_and_nothing_is_lost_or_applied_twice(stack, WORKER)
            .await
    }
}

#[cfg(feature = "servers")]
mod servers {
    use super::*;

    #[tokio::test]
    async fn a_killed_worker_is_started_again_and_nothing_is_lost_or_applied_twice() -> Result<()> {
        let stack = Stack::servers().await?;
        let worker = "ledger-worker-postgres";
        super::a_killed_worker_is_started_again_and_nothing_is_lost_or_applied_twice(stack, worker)
            .await
    }
}

#[tokio::test]
async fn sigterm_ends_all_workers_well() -> Result<()> {
    let stack = Stack::embedded().await?;
    stack.prepare().await?;
    let parent = supervised(&stack, WORKER, "3")?;
    starts(&parent, 3).await?;
    let workers = children(&parent)?;
    ensure!(workers.len() == 3, "{workers:?}");
    parent.terminate().await?;
    ensure!(
        !workers.iter().any(|worker| runs(*worker)),
        "one still runs"
    );
    let log = read_to_string(stack.directory.path().join("workers.log"))?;
    let finished = log.matches("the worker has finished").count();
    ensure!(finished == 3, "{finished} have finished:\n{log}");
    Ok(())
}

#[tokio::test]
async fn workers_end_with_a_parent_that_is_killed() -> Result<()> {
    let stack = Stack::embedded().await?;
    stack.prepare().await?;
    let parent = supervised(&stack, WORKER, "2")?;
    starts(&parent, 2).await?;
    let workers = children(&parent)?;
    parent.kill().await?;
    all_end(&workers).await?;
    let log = read_to_string(stack.directory.path().join("workers.log"))?;
    let finished = log.matches("the worker has finished").count();
    ensure!(finished == 2, "{finished} have finished:\n{log}");
    Ok(())
}

#[tokio::test]
async fn sighup_replaces_the_workers_one_after_the_other() -> Result<()> {
    let stack = Stack::embedded().await?;
    stack.prepare().await?;
    let parent = supervised(&stack, WORKER, "2")?;
    starts(&parent, 2).await?;
    let before = children(&parent)?;
    // As `pkill -HUP` does: to all of this name. What the workers get is not theirs to act on.
    for worker in &before {
        kill_process(*worker, Signal::HUP)?;
    }
    parent.signal(Signal::HUP)?;
    says(&parent, "all workers have been replaced").await?;
    let after = children(&parent)?;
    ensure!(after.len() == 2, "{after:?}");
    ensure!(!after.iter().any(|pid| before.contains(pid)), "{after:?}");
    let log = parent.log();
    let order: Vec<_> = log
        .lines()
        .filter_map(|line| {
            ["the worker starts", "the worker has finished"]
                .into_iter()
                .find(|text| line.contains(text))
        })
        .map(|text| text.contains("starts"))
        .collect();
    ensure!(order == [true, true, false, true, false, true], "{log}");
    ensure!(!log.contains("ERROR"), "{log}");
    parent.terminate().await
}

#[tokio::test]
async fn a_new_configuration_that_is_wrong_leaves_the_other_workers_running() -> Result<()> {
    let stack = Stack::embedded().await?;
    stack.prepare().await?;
    let parent = supervised(&stack, WORKER, "2")?;
    starts(&parent, 2).await?;
    let before = children(&parent)?;
    let right = read_to_string(stack.config())?;
    write(
        stack.config(),
        right.replace("[replica]", "[replica]\nlanes = 0"),
    )?;
    parent.signal(Signal::HUP)?;
    says(&parent, "a new worker did not start").await?;
    let spared = children(&parent)?;
    let spared: Vec<_> = before.iter().filter(|pid| spared.contains(pid)).collect();
    ensure!(spared.len() == 1, "{spared:?} of {before:?}");
    write(stack.config(), right)?;
    starts(&parent, 3).await?;
    parent.terminate().await
}

#[tokio::test]
async fn a_wrong_configuration_starts_no_worker() -> Result<()> {
    let stack = Stack::embedded().await?;
    stack.prepare().await?;
    let arguments = ["run", "-w", "2", "--lanes", "0"];
    let (code, _, said) = stack.outcome(WORKER, &arguments).await?;
    ensure!(code == 1 && said.contains("lanes"), "{code}: {said}");
    ensure!(!said.contains("a worker process"), "{said}");
    Ok(())
}

/// Without its tables no worker can work, which only the worker itself can see.
#[tokio::test]
async fn workers_that_never_work_are_given_up() -> Result<()> {
    let stack = Stack::embedded().await?;
    let (code, _, said) = stack.outcome(WORKER, &["run", "-w", "1"]).await?;
    ensure!(code == 1, "{code}: {said}");
    let ends = said.matches("a worker has ended by itself").count();
    ensure!(ends == 5, "{ends} ends:\n{said}");
    ensure!(said.contains("none has run for long"), "{said}");
    Ok(())
}

/// A server that hangs up on everyone counts the attempts.
#[tokio::test]
async fn a_database_that_is_away_is_waited_for() -> Result<()> {
    let stack = Stack::embedded().await?;
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let right = read_to_string(stack.config())?;
    let here = format!("[replica]\ndatabase = \"{}\"", stack.replica.url());
    let port = server.local_addr()?.port();
    let away = format!("[replica]\ndatabase = \"postgres://nobody@127.0.0.1:{port}/nothing\"");
    ensure!(right.contains(&here), "{right}");
    write(stack.config(), right.replace(&here, &away))?;
    let mut parent = supervised(&stack, "ledger-worker-postgres", "2")?;
    let attempts = async {
        for _ in 0..12 {
            drop(server.accept().await?);
        }
        anyhow::Ok(())
    };
    let attempts = timeout(PATIENCE, attempts).await;
    attempts.with_context(|| parent.log())??;
    parent.expect_running()?;
    let log = parent.log();
    ensure!(!log.contains("a worker has ended"), "{log}");
    ensure!(log.matches("a worker process").count() == 2, "{log}");
    drop(server);
    parent.terminate().await
}

/// Starts two workers, the first of which hears nothing any more. It may hold a lock that the other
/// one needs.
async fn one_is_deaf(stack: &Stack) -> Result<(Process, Vec<Pid>)> {
    stack.prepare().await?;
    let parent = supervised(stack, WORKER, "2")?;
    starts(&parent, 2).await?;
    let workers = children(&parent)?;
    kill_process(workers[0], Signal::STOP)?;
    Ok((parent, workers))
}

#[tokio::test]
async fn a_worker_that_does_not_finish_in_time_is_killed_and_told_of() -> Result<()> {
    let mut stack = Stack::embedded().await?;
    let variable = "CQRS_REPLICA_DRAIN_TIMEOUT".to_owned();
    stack.environment.push((variable, "1s".to_owned()));
    let (parent, workers) = one_is_deaf(&stack).await?;
    let Err(failure) = parent.terminate().await else {
        bail!("the parent says that all is well");
    };
    let failure = failure.to_string();
    ensure!(failure.contains("exit status: 1"), "{failure}");
    ensure!(
        failure.contains("of 2 workers did not stop well"),
        "{failure}"
    );
    ensure!(
        !workers.iter().any(|worker| runs(*worker)),
        "one still runs"
    );
    Ok(())
}

#[tokio::test]
async fn a_second_signal_kills_what_still_runs() -> Result<()> {
    let stack = Stack::embedded().await?;
    let (parent, workers) = one_is_deaf(&stack).await?;
    until("the worker is killed", PATIENCE, async || {
        let log = parent.log();
        if log.contains("a worker is killed") {
            return Ok(Seen::Yes);
        }
        // Those that follow the first closely count as one with it.
        parent.signal(Signal::TERM)?;
        Ok(Seen::NotYet(log))
    })
    .await?;
    all_end(&workers).await
}
