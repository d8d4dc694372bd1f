//! Where everything is: the databases and the broker.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cqrs_core::config::{Config, Needed, Sources};
use shop_reports::QUEUE;
use tempfile::TempDir;

/// A configuration, and its directory if it is for this run only.
#[derive(Debug)]
pub struct Place {
    pub config: Config,
    pub file: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// What a `cqrs.toml` names, `PostgreSQL` and RabbitMQ for instance.
    pub fn of_file(file: &Path) -> Result<Self> {
        let sources = Sources::read(file)?.with_env(std::env::vars_os());
        Ok(Self {
            config: load(&sources)?,
            file: file.to_owned(),
            temporary: None,
        })
    }

    /// Files in a directory, without any server.
    pub fn embedded(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("making {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let file = directory.join("cqrs.toml");
        let path = directory
            .to_str()
            .context("the directory's name is not UTF-8")?;
        // As a file, so that `cqrs-relay status --config` and its like can be tried.
        let toml = format!(
            "[broker]\nurl = \"embedded://{path}/broker.db\"\n\n\
             [master]\ndatabase = \"sqlite://{path}/orders.db?mode=rwc\"\n\n\
             [replica]\ndatabase = \"sqlite://{path}/reports.db?mode=rwc\"\nqueue = \"{QUEUE}\"\n"
        );
        std::fs::write(&file, &toml).with_context(|| format!("writing {}", file.display()))?;
        Ok(Self {
            config: load(&Sources::text(&file, toml))?,
            file,
            temporary: None,
        })
    }

    /// Files that are gone when this is dropped.
    pub fn temporary() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("shop-").tempdir()?;
        let mut place = Self::embedded(directory.path())?;
        place.temporary = Some(directory);
        Ok(place)
    }

    /// Whether nothing of it stays.
    pub const fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }
}

fn load(sources: &Sources) -> Result<Config> {
    let needed = [Needed::Broker, Needed::Master, Needed::Replica];
    Ok(Config::load_for(sources, &needed)?)
}
