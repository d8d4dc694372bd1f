//! A command that an operator interrupts says so, and leaves nothing half done.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    process::binary,
    stack::Stack,
    wait::{Seen, until},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(1);

/// Starts a command that waits for a locked table, interrupts it, and checks what it says.
async fn interrupt(stack: &Stack, (program, arguments): (&str, &[&str])) -> Result<()> {
    let child = Command::new(binary(program)?)
        .args(arguments)
        .env("CQRS_CONFIG", stack.config())
        .current_dir(stack.directory.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    until("the command waits", PATIENCE, async || {
        waits(&stack.master).await
    })
    .await?;
    let id = Pid::from_raw(i32::try_from(child.id().context("it has ended")?)?);
    kill_process(id.context("it has an id")?, Signal::INT)?;
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.code() == Some(1), "{}: {said}", ended.status);
    ensure!(said.contains("stopped by SIGINT before the end"), "{said}");
    Ok(())
}

/// Whether a session waits for a lock.
async fn waits(database: &Database) -> Result<Seen> {
    let waiting = "select count(*)::text from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    Ok(match database.number(waiting).await? {
        0 => Seen::NotYet("no session waits for a lock".to_owned()),
        _ => Seen::Yes,
    })
}

#[tokio::test]
async fn dumps_diffs_and_comparisons_end_with_a_word() -> Result<()> {
    let stack = Stack::servers().await?;
    let toml = std::fs::read_to_string(stack.config())?;
    let model = "\n[[master.model]]\ncqrs_id = \"account\"\ntable = \"account\"\nkey = \"id\"\n";
    std::fs::write(stack.config(), toml + model)?;
    stack.prepare().await?;
    let Database::Postgres { pool, .. } = &stack.master else {
        unreachable!("it is on servers");
    };
    let mut lock = pool.begin().await?;
    sqlx::query("lock table account")
        .execute(&mut *lock)
        .await?;
    let master = stack.master.url();
    for command in [
        (
            "cqrs-relay",
            &["dump", "--model", "account", "-o", "account.dump"][..],
        ),
        ("cqrs-relay", &["diff", "--model", "account"][..]),
        (
            "cqrs-replica",
            &["reconcile", "--all", "--master", master][..],
        ),
    ] {
        interrupt(&stack, command).await?;
        until("the session is gone", PATIENCE, async || {
            Ok(match waits(&stack.master).await? {
                Seen::Yes => Seen::NotYet("it still waits".to_owned()),
                Seen::NotYet(_) => Seen::Yes,
            })
        })
        .await?;
    }
    let left = |name: &str| Path::new(stack.directory.path()).join(name).exists();
    ensure!(
        !left("account.dump.partial") && !left("account.dump"),
        "a file was left"
    );
    Ok(())
}
