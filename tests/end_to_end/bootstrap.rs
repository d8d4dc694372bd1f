//! `docs/bootstrap.md`: a new replica joins while its master is being written.

use std::{process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use cqrs_tests::{
    database::Database,
    ledger,
    process::binary,
    stack::Stack,
    wait::{Seen, until},
    writers::{self, Load},
};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(5);

const MODEL: &str =
    "\n[[master.model]]\ncqrs_id = \"account\"\ntable = \"account\"\nkey = \"id\"\n";

/// Rows from before the outbox, as any table has them on its first day.
const ROWS: &str = "insert into account (id, name, version, note)
    with recursive numbers (id) as (select 0 union all select id + 1 from numbers where id < 199999)
    select id, 'old row ' || id, -1, case when id % 3 = 0 then 'note' end from numbers";

/// As `cqrs-relay dump -o - | cqrs-replica load -i -`.
async fn dump_and_load(stack: &Stack) -> Result<()> {
    let config = stack.config();
    let mut dump = Command::new(binary("cqrs-relay")?)
        .args(["dump", "--model", "account", "-o", "-", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let rows: Stdio = dump.stdout.take().expect("it is a pipe").try_into()?;
    let load = Command::new(binary("cqrs-replica")?)
        .args(["load", "-i", "-", "--config"])
        .arg(&config)
        .stdin(rows)
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&load.stderr);
    ensure!(load.status.success(), "load: {said}");
    ensure!(dump.wait().await?.success(), "dump failed");
    Ok(())
}

async fn a_new_replica_joins_without_downtime(stack: Stack, writing: u64) -> Result<()> {
    stack.prepare().await?;
    stack.master.execute(ROWS).await?;
    let toml = std::fs::read_to_string(stack.config())?;
    std::fs::write(stack.config(), toml + MODEL)?;
    let relay = stack.relay("relay")?;
    let worker = stack.start("cqrs-replica", "worker")?;
    let joining = async {
        until("live events arrive", PATIENCE, async || {
            let applied = "select cast(count(*) as text) from account_copy";
            Ok(match stack.replica.number(applied).await? {
                0 => Seen::NotYet("none".to_owned()),
                _ => Seen::Yes,
            })
        })
        .await?;
        dump_and_load(&stack).await
    };
    // They write all the time, and stop in the middle of what they are doing.
    let load = Load {
        writers: writing,
        transactions: u64::MAX,
        rows: 200_000,
    };
    tokio::select! {
        joined = joining => joined?,
        written = writers::write(&stack.master, load) => written?,
    }
    caught_up(&stack.master, &stack.replica).await?;
    let written = "select cast(count(*) as text) from cqrs_revision where revision > 0";
    ensure!(
        stack.master.number(written).await? > 0,
        "nobody has written in between"
    );
    let config = stack.config();
    let master = stack.master.url();
    let reconciled = Command::new(binary("cqrs-replica")?)
        .args([
            "reconcile",
            "--model",
            "account",
            "--master",
            master,
            "--config",
        ])
        .arg(&config)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&reconciled.stderr);
    ensure!(reconciled.status.success(), "reconcile: {said}");
    relay.terminate().await?;
    worker.terminate().await
}

async fn caught_up(master: &Database, replica: &Database) -> Result<()> {
    until("both sides have the same rows", PATIENCE, async || {
        let left = master
            .number("select cast(count(*) as text) from cqrs_outbox where cqrs_id = 'account'");
        if left.await? > 0 {
            return Ok(Seen::NotYet("the outbox is not empty".to_owned()));
        }
        Ok(match ledger::verify_rows(master, replica).await {
            Ok(()) => Seen::Yes,
            Err(how) => Seen::NotYet(how.to_string()),
        })
    })
    .await
}

#[tokio::test]
async fn embedded() -> Result<()> {
    a_new_replica_joins_without_downtime(Stack::embedded().await?, 2).await
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn servers() -> Result<()> {
    a_new_replica_joins_without_downtime(Stack::servers().await?, 8).await
}
