//! Writers that know only the table, in Python, while relays and workers run: nothing lost, nothing
//! twice, everything in order.

#[cfg(feature = "servers")]
mod postgres;

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_outbox::{
    capture::{Capture, Installed},
    source::SourceModel,
};
use cqrs_tests::{
    database::Database,
    ledger,
    stack::Stack,
    writers::{STEP_MODEL, TABLE_MODEL},
};
use sqlx::{Connection, SqliteConnection};
use tokio::{process::Command, task::JoinSet};

const PATIENCE: Duration = Duration::from_secs(90);

/// One in six transactions is rolled back; the others do from one to three things, of every kind.
const WRITER: &str = r#"
import random, sqlite3, sys
file, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
database = sqlite3.connect(file, timeout=60, isolation_level=None)
for turn in range(120):
    database.execute("begin immediate")
    for _ in range(chance.randint(1, 3)):
        row = (chance.randrange(20), 'wríter %d "turn" 😀' % seed, turn, chance.choice([None, 'back\\slash']))
        kind = chance.randrange(6)
        if kind == 0:
            database.execute("delete from account where id = ?", row[:1])
        elif kind == 1:
            database.execute("insert or replace into account values (?, ?, ?, ?)", row)
        elif kind == 2:
            database.execute("update account set version = version + 1 where id % 7 = ?", (turn % 7,))
        elif kind == 3:
            database.execute("update or ignore account set id = ? where id = ?", (chance.randrange(20), row[0]))
        else:
            database.execute(
                "insert into account values (?, ?, ?, ?) on conflict (id) do update set"
                " name = excluded.name, version = excluded.version, note = excluded.note", row)
    database.execute("rollback" if chance.randrange(6) == 0 else "commit")
"#;

async fn capture(master: &Database) -> Result<()> {
    let mut connection = SqliteConnection::connect(master.url()).await?;
    for cqrs_id in [TABLE_MODEL, STEP_MODEL] {
        let model = SourceModel::new(cqrs_id.parse()?, "account", vec!["id".to_owned()]);
        ensure!(connection.install(&model).await? == Installed::New);
    }
    connection.close().await?;
    Ok(())
}

async fn write(master: &Database, writers: u64) -> Result<()> {
    let file = master.url().trim_start_matches("sqlite://").to_owned();
    let mut running = JoinSet::new();
    for seed in 0..writers {
        let mut command = Command::new("python3");
        command.args(["-c", WRITER, &file, &seed.to_string()]);
        running.spawn(async move { command.kill_on_drop(true).output().await });
    }
    while let Some(ended) = running.join_next().await {
        let output = ended??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "a writer failed: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_other_programs_write_arrives_in_order() -> Result<()> {
    let stack = Stack::embedded().await?;
    stack.prepare().await?;
    capture(&stack.master).await?;
    let processes = [
        stack.worker("worker-1")?,
        stack.worker("worker-2")?,
        stack.relay("relay-1")?,
        stack.relay("relay-2")?,
    ];
    let doomed = stack.relay("relay-doomed")?;
    let play = async {
        ledger::in_the_middle(&stack.replica, PATIENCE).await?;
        doomed.kill().await
    };
    let (written, killed) = tokio::join!(write(&stack.master, 3), play);
    written?;
    killed?;
    let events = ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ensure!(events > 600, "only {events} events were recorded");
    ledger::verify(&stack.master, &stack.replica).await?;
    for process in processes {
        process.terminate().await?;
    }
    Ok(())
}
