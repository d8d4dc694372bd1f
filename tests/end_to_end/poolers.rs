//! A pooler between a program and its database, and a database that takes no connections for a while.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    process::Process,
    services::variable,
    stack::Stack,
    wait::{Seen, until},
};
use sqlx::{Connection, PgConnection};
use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// A `PgBouncer` before the server of a URL, and the URL by way of it.
async fn pooler(directory: &Path, url: &str, settings: &str) -> Result<(Process, String)> {
    let (login, host) = url
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
        .context("a login")?;
    let (user, password) = login.split_once(':').context("a password")?;
    let (address, database) = host.split_once('/').context("a database")?;
    let (host, port) = address.split_once(':').context("a port")?;
    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let file = directory.join(format!("pooler-{}.ini", free.port()));
    std::fs::write(
        &file,
        format!(
            "[databases]\n* = host={host} port={port} user={user} password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nauth_type = any\n\
             unix_socket_dir =\n{settings}\n",
            free.port()
        ),
    )?;
    // It refuses to run as root, and reads its file as somebody else.
    let root = rustix::process::getuid().is_root();
    for (path, mode) in [(directory, 0o755), (&file, 0o644)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    }
    // Debian keeps it out of many a PATH.
    let debian = "/usr/sbin/pgbouncer";
    let is_there = Path::new(debian).exists();
    let mut command = Command::new(if is_there { debian } else { "pgbouncer" });
    if root {
        command.args(["-u", "postgres"]);
    }
    command.arg(&file);
    let process = Process::spawn(command, "pooler", directory)?;
    until("the pooler listens", PATIENCE, async || {
        Ok(match TcpStream::connect(free).await {
            Ok(_) => Seen::Yes,
            Err(error) => Seen::NotYet(format!("{error}: {}", process.log())),
        })
    })
    .await?;
    let url = format!("postgres://{login}@{free}/{database}?sslmode=disable");
    Ok((process, url))
}

async fn is_refused(settings: &str) -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let right = std::fs::read_to_string(stack.config())?;
    let mut toml = right.clone();
    let mut processes = Vec::new();
    for database in [&stack.master, &stack.replica] {
        let (process, url) = pooler(stack.directory.path(), database.url(), settings).await?;
        processes.push(process);
        toml = toml.replace(database.url(), &url);
    }
    std::fs::write(stack.config(), toml)?;
    for program in ["cqrs-relay", "cqrs-replica"] {
        for command in ["run", "migrate", "status"] {
            let (code, _, said) = stack.outcome(program, &[command]).await?;
            ensure!(
                code != 0 && said.contains("leads to a pooler"),
                "{program} {command}: {code}, {said}"
            );
            ensure!(!said.contains("lost"), "{program} {command}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_pooler_of_transactions_is_refused() -> Result<()> {
    is_refused("pool_mode = transaction").await
}

#[tokio::test]
async fn a_pooler_of_transactions_that_passes_over_settings_is_refused() -> Result<()> {
    is_refused("pool_mode = transaction\nignore_startup_parameters = options,extra_float_digits")
        .await
}

#[tokio::test]
async fn a_pooler_of_sessions_is_refused() -> Result<()> {
    is_refused("pool_mode = session").await
}

#[tokio::test]
async fn a_pooler_of_sessions_that_passes_over_settings_is_refused() -> Result<()> {
    is_refused("pool_mode = session\nignore_startup_parameters = options,extra_float_digits").await
}

#[tokio::test]
async fn a_database_that_takes_no_connections_is_waited_for() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let mut admin = PgConnection::connect(&variable("CQRS_TEST_POSTGRES")).await?;
    let mut allow = async |allowed: bool| {
        for database in [&stack.master, &stack.replica] {
            let Database::Postgres { .. } = database else {
                anyhow::bail!("it is a PostgreSQL");
            };
            let (_, name) = database.url().rsplit_once('/').context("a name")?;
            let sql = format!("alter database \"{name}\" with allow_connections {allowed}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&mut admin)
                .await?;
        }
        anyhow::Ok(())
    };
    allow(false).await?;
    let processes = [stack.relay("relay")?, stack.worker("worker")?];
    until("both have tried", PATIENCE, async || {
        let logs: Vec<_> = processes.iter().map(Process::log).collect();
        let tried = logs
            .iter()
            .all(|log| log.contains("not currently accepting connections"));
        Ok(if tried {
            Seen::Yes
        } else {
            Seen::NotYet(logs.concat())
        })
    })
    .await?;
    allow(true).await?;
    until("both work", PATIENCE, async || {
        let logs: Vec<_> = processes.iter().map(Process::log).collect();
        let works = logs[1].contains("consuming");
        Ok(if works {
            Seen::Yes
        } else {
            Seen::NotYet(logs.concat())
        })
    })
    .await?;
    for process in processes {
        process.terminate().await?;
    }
    Ok(())
}
