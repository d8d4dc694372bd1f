//! A service's own worker on SQLite: the stock one with a handler that keeps a ledger.

use std::process::ExitCode;

use cqrs_core::Event;
use cqrs_replica::{Failure, Handler, Model, cli, sqlite::SqliteReplica};
use cqrs_tests::{ledger, writers::STEP_MODEL};
use sqlx::SqliteConnection;

struct Ledger;

impl Handler<SqliteReplica> for Ledger {
    async fn apply(&self, tx: &mut SqliteConnection, event: &Event) -> Result<(), Failure> {
        sqlx::query(ledger::ENTER)
            .bind(event.key.canonical())
            .bind(event.revision.0)
            .bind(event.signal.as_str())
            .execute(tx)
            .await?;
        Ok(())
    }
}

fn main() -> ExitCode {
    cli::main_with::<SqliteReplica>(|| Ok(vec![Model::handler(STEP_MODEL.parse()?, Ledger)]))
}
