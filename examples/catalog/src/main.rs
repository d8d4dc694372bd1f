//! An example master: Debian's package index in `PostgreSQL`, every change recorded in the
//! transaction that makes it. It knows nothing of brokers or replicas.

mod package;
mod table;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use cqrs_core::config::{Config, Needed, Sources};
use cqrs_outbox::Recorder;
use sqlx::{Connection, PgConnection};

/// Fills and changes the table `packages` of the master's database.
#[derive(Debug, Parser)]
struct Cli {
    /// The configuration that relay and worker read as well.
    #[arg(long, env = "CQRS_CONFIG", default_value = "cqrs.toml")]
    config: PathBuf,
    /// How many rows change in one transaction.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the table and the outbox.
    Migrate,
    /// Loads index files into the table: this machine's own, if none is named.
    Load {
        /// Files in the form of Debian's `Packages`.
        files: Vec<PathBuf>,
    },
    /// Changes every N-th package.
    Update {
        /// N
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        every: u32,
    },
    /// Deletes every N-th package.
    Remove {
        /// N
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        every: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the counts are this program's output")]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let mut sources = Sources::read(&cli.config)?;
    sources.env = std::env::vars().collect();
    let config = Config::load_for(&sources, &[Needed::Master])?;
    let master = config.require_master()?;
    let database = &master.database;
    let mut recorder = Recorder::new();
    if let Some(ttl) = master.message_ttl {
        recorder = recorder.with_ttl(ttl);
    }
    if matches!(cli.command, Command::Migrate) {
        cqrs_outbox::migrate(database).await?;
    }
    let mut connection = PgConnection::connect(database.expose())
        .await
        .with_context(|| format!("connecting to {database}"))?;
    let batch = usize::from(cli.batch);
    match cli.command {
        Command::Migrate => {
            table::create(&mut connection).await?;
            println!("catalog: the tables are there");
        }
        Command::Load { files } => {
            let files = if files.is_empty() {
                package::default_index()
            } else {
                files
            };
            // Several lists may name the same version of a package.
            let mut packages = BTreeMap::new();
            for file in files {
                for package in package::parse(&package::read(&file)?)? {
                    packages.insert((package.package.clone(), package.version.clone()), package);
                }
            }
            let packages: Vec<_> = packages.into_values().collect();
            for batch in packages.chunks(batch) {
                table::save(&mut connection, &recorder, batch).await?;
            }
            println!("catalog: loaded {} packages", packages.len());
        }
        Command::Update { every } => {
            let count = table::update(&mut connection, &recorder, every, batch).await?;
            println!("catalog: updated {count} packages");
        }
        Command::Remove { every } => {
            let count = table::remove(&mut connection, &recorder, every, batch).await?;
            println!("catalog: removed {count} packages");
        }
    }
    connection.close().await?;
    Ok(())
}
