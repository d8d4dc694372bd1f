//! `PostgreSQL`, from `[replica]`.

use cqrs_core::config::Replica;

use super::Database;
use crate::postgres::{PostgresConfig, PostgresReplica};

impl Database for PostgresReplica {
    const SCHEMES: &'static [&'static str] = &["postgres", "postgresql"];

    fn open(replica: &Replica) -> Self {
        Self::new(config(replica))
    }
}

fn config(replica: &Replica) -> PostgresConfig {
    let mut config = PostgresConfig::new(replica.database.clone(), "cqrs-replica");
    config.statement_timeout = replica.statement_timeout;
    config.lock_timeout = replica.lock_timeout;
    config
}
