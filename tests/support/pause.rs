//! Stopping a process for a while without stopping all others.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::process::Process;

/// Stops a process, at a moment at which it writes to no `SQLite` file of `directory`: whoever is stopped
/// in the middle of a write stops all other writers of that file.
///
/// # Errors
/// It has ended.
pub async fn pause(process: &Process, directory: &Path) -> Result<()> {
    loop {
        process.signal(Signal::STOP)?;
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        let id = process.id()?;
        tokio::task::spawn_blocking(move || waitid(WaitId::Pid(id), stopped)).await??;
        if all_can_be_written(directory).await? {
            return Ok(());
        }
        process.signal(Signal::CONT)?;
        // It ends what it is at, or it would be stopped in the same write again.
        while !all_can_be_written(directory).await? {}
    }
}

async fn all_can_be_written(directory: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "db")
            && !can_be_written(&file).await?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a transaction that writes can begin. Others that write at the moment are waited for.
async fn can_be_written(file: &Path) -> Result<bool> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(2));
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .with_context(|| format!("opening {}", file.display()))?;
    let begun = sqlx::query("begin immediate")
        .execute(&mut connection)
        .await;
    let free = begun.is_ok();
    if let Err(error) = begun {
        let busy = error.as_database_error().is_some_and(|error| {
            // SQLITE_BUSY and those that extend it.
            let code = error.code().and_then(|code| code.parse::<i32>().ok());
            code.is_some_and(|code| code & 0xff == 5)
        });
        if !busy {
            return Err(error).context("looking whether the file is locked");
        }
    }
    connection.close().await?;
    Ok(free)
}
