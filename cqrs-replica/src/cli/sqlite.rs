//! `SQLite`, from `[replica]`.

use cqrs_core::config::Replica;

use super::Database;
use crate::sqlite::{SqliteConfig, SqliteReplica};

impl Database for SqliteReplica {
    const SCHEMES: &'static [&'static str] = &["sqlite"];

    fn open(replica: &Replica) -> Self {
        Self::new(config(replica))
    }
}

fn config(replica: &Replica) -> SqliteConfig {
    let mut config = SqliteConfig::new(replica.database.clone());
    config.busy_timeout = replica.lock_timeout;
    config
}
