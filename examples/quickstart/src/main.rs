//! The whole path in one process and without a server: a master records what it does to a table, a
//! relay forwards the events through the embedded broker, two replicas apply them, each in its own
//! way, and at the end all three are compared row by row.

mod country;
mod master;
mod replica;
mod screen;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use cqrs_core::{
    QueueName, SecretUrl, SystemClock,
    transport::embedded::{Embedded, EmbeddedConfig},
};
use cqrs_outbox::{Owner, sqlite::SqliteStore};
use cqrs_relay::{Relay, RelayConfig};
use cqrs_replica::{Worker, WorkerConfig, sqlite::SqliteReplica};
use master::Master;
use replica::{ATLAS, PHONEBOOK, Replica};
use sqlx::SqlitePool;
use tokio::{task::JoinSet, time::interval};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<()> {
    let directory = PathBuf::from("target/quickstart");
    screen::title("a master, a relay, a broker and two replicas, all in target/quickstart");
    if directory.exists() {
        std::fs::remove_dir_all(&directory).context("clearing the last run's files")?;
    }
    std::fs::create_dir_all(&directory)?;
    let file = |name: &str| directory.join(format!("{name}.db"));
    let broker = Embedded::new(EmbeddedConfig::new(file("broker")));

    let master = Master::create(&file("master")).await?;
    let replicas = [
        (&ATLAS, ATLAS.create(&file(ATLAS.name)).await?),
        (&PHONEBOOK, PHONEBOOK.create(&file(PHONEBOOK.name)).await?),
    ];

    // The processes of a real system, as tasks. Each would do with `run` of its stock binary.
    let shutdown = cqrs_core::Shutdown::new();
    let mut services = JoinSet::new();
    let clock = Arc::new(SystemClock);
    for (replica, _) in &replicas {
        let worker = Worker::new(
            SqliteReplica::new(sqlite(&file(replica.name))),
            broker.clone(),
            replica.models()?,
            WorkerConfig::new(QueueName::new(replica.name)?),
            clock.clone(),
            new_id(),
        );
        let run = worker.run(shutdown.clone());
        services.spawn(async move { run.await.context("a worker failed") });
    }
    wait_for_bindings(&broker, &file("broker")).await?;
    let relay = Relay::new(
        SqliteStore::new(sqlite(&file("master"))),
        broker.clone(),
        RelayConfig::default(),
        clock,
        Owner(new_id()),
    );
    let run = relay.run(shutdown.clone());
    services.spawn(async move { run.await.context("the relay failed") });

    let countries = country::all()?;
    screen::count("created", master.insert(&countries).await?, "countries");
    screen::count(
        "renamed",
        master.make_formal().await?,
        "to their official names",
    );
    let gone = master.delete_some().await?;
    screen::count("deleted", gone.len(), "whose number ends in 0");
    let back = &gone[..gone.len() / 2];
    screen::count("re-created", master.insert(back).await?, "of those");
    let undone = master.delete_all_and_roll_back().await?;
    screen::count("rolled back", undone, "deletions: no event");

    let events = master.events().await?;
    follow(&mut services, &replicas, events).await?;
    shutdown.drain.cancel();
    while let Some(service) = services.join_next().await {
        service??;
    }

    let rows = master.rows().await?;
    for (replica, pool) in &replicas {
        replica.compare(pool, &rows).await?;
        screen::count(replica.name, rows.len(), "rows equal to the master's");
    }
    write_configuration(&directory)?;
    screen::commands();
    screen::title(&format!(
        "replica equals master ({} rows, {events} events)",
        rows.len()
    ));
    Ok(())
}

/// Shows the replicas' progress until both have applied all events.
async fn follow(
    services: &mut JoinSet<Result<()>>,
    replicas: &[(&Replica, SqlitePool); 2],
    events: u64,
) -> Result<()> {
    let started = Instant::now();
    let bar = screen::bar(events * 2);
    let mut pace = interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            Some(service) = services.join_next() => {
                service??;
                anyhow::bail!("a service ended before its time");
            }
        }
        let mut applied = 0;
        for (_, pool) in replicas {
            applied += Replica::events(pool).await?;
        }
        bar.set_position(applied);
        if applied == events * 2 {
            bar.finish_and_clear();
            return Ok(());
        }
        ensure!(
            started.elapsed() < Duration::from_mins(1),
            "after a minute the replicas have applied {applied} of {} events",
            events * 2
        );
    }
}

/// The exchange keeps nothing for a queue that is not bound yet; the relay would wait and try again,
/// but the show is better without the pause.
async fn wait_for_bindings(broker: &Embedded, file: &Path) -> Result<()> {
    let mut pace = interval(Duration::from_millis(5));
    for _ in 0..2_000 {
        pace.tick().await;
        let mut bound = file.exists();
        for replica in [&ATLAS, &PHONEBOOK] {
            bound = bound && broker.depth(&QueueName::new(replica.name)?).await.is_ok();
        }
        if bound {
            return Ok(());
        }
    }
    anyhow::bail!("the workers did not declare their queues within 10 s")
}

/// One file for each replica, for the stock binaries.
fn write_configuration(directory: &Path) -> Result<()> {
    for replica in [&ATLAS, &PHONEBOOK] {
        let toml = format!(
            "[broker]\nurl = \"embedded://{directory}/broker.db\"\n\n\
             [master]\ndatabase = \"sqlite://{directory}/master.db\"\n\n\
             [replica]\ndatabase = \"sqlite://{directory}/{name}.db\"\nqueue = \"{name}\"\n\n{model}",
            directory = directory.display(),
            name = replica.name,
            model = replica.toml(),
        );
        std::fs::write(directory.join(format!("{}.toml", replica.name)), toml)?;
    }
    Ok(())
}

fn sqlite(file: &Path) -> cqrs_core::database::sqlite::SqliteConfig {
    cqrs_core::database::sqlite::SqliteConfig::new(url("sqlite", file))
}

fn url(scheme: &str, file: &Path) -> SecretUrl {
    SecretUrl::new(format!("{scheme}://{}", file.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a binary mints the ids of its processes"
)]
fn new_id() -> Uuid {
    Uuid::now_v7()
}
