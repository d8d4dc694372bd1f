//! A service's own worker on PostgreSQL: the stock one with a handler that keeps a ledger.

use std::process::ExitCode;

use cqrs_core::Event;
use cqrs_replica::{Failure, Handler, Model, cli, postgres::PostgresReplica};
use cqrs_tests::{ledger, writers::STEP_MODEL};
use sqlx::PgConnection;

struct Ledger;

impl Handler<PostgresReplica> for Ledger {
    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), Failure> {
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
    cli::main_with::<PostgresReplica>(|| Ok(vec![Model::handler(STEP_MODEL.parse()?, Ledger)]))
}
