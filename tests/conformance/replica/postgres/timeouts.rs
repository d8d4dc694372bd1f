//! A model's own statement timeout.

use std::time::Duration;

use cqrs_core::Event;
use cqrs_replica::{
    Applied, Failure, Handler, Hooks, Model, ReplicaSession, TableModel, postgres::PostgresReplica,
};
use sqlx::PgConnection;

use super::{
    super::{
        fixture::{ACCOUNT, APPLIED, Replica, assert_eq_rows, id, table},
        message::{Message, account},
    },
    Database,
};

const TIMEOUT: Duration = Duration::from_millis(300);

/// A row named `slow` takes a second.
const SLOW: &str = "create function be_slow() returns trigger language plpgsql as
    'begin if new.name = ''slow'' then perform pg_sleep(1); end if; return new; end'";
const TRIGGER: &str = "create trigger slow after insert or update on account
    for each row execute function be_slow()";

struct NoHooks;

impl Hooks<PostgresReplica> for NoHooks {}

const fn failed(reason: &'static str) -> Applied {
    Applied::Retrying {
        attempts: 1,
        reason,
    }
}

async fn slow_rows_fail(model: Model<PostgresReplica>) {
    let model = model.with_statement_timeout(TIMEOUT);
    let mut replica = Replica::<Database>::new(&[ACCOUNT, SLOW, TRIGGER], [model]).await;
    let answers = replica
        .apply(&[
            account(1, 0, "a"),
            account(2, 0, "slow"),
            account(3, 0, "c"),
        ])
        .await;
    assert_eq!(answers, [APPLIED, failed("database"), APPLIED]);
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("300ms"), "{error}");
    let names = replica.rows("select name from account order by id").await;
    assert_eq_rows(&names, &["a", "c"]);
}

#[tokio::test]
async fn a_slow_row_is_its_messages_failure() {
    slow_rows_fail(table("account", TableModel::new("account", "id"))).await;
}

#[tokio::test]
async fn a_slow_row_is_its_messages_failure_with_hooks() {
    let model = table("account", TableModel::new("account", "id"));
    slow_rows_fail(model.with_hooks(NoHooks)).await;
}

struct Sleeper;

impl Handler<PostgresReplica> for Sleeper {
    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), Failure> {
        let seconds = if event.key.canonical() == "2" {
            1.0
        } else {
            0.0
        };
        sqlx::query("select pg_sleep($1)")
            .bind(seconds)
            .execute(tx)
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_handlers_statement_is_ended_and_the_next_models_is_not() {
    let patient = Model::handler(id("patient"), Sleeper);
    let hasty = Model::handler(id("account"), Sleeper).with_statement_timeout(TIMEOUT);
    let mut replica = Replica::<Database>::new(&[], [patient, hasty]).await;
    let answers = replica
        .apply(&[
            account(1, 0, "a"),
            account(2, 0, "b"),
            account(3, 0, "c"),
            Message::save("patient", "2", 0, ""),
        ])
        .await;
    assert_eq!(answers, [APPLIED, failed("handler"), APPLIED, APPLIED]);
}

#[tokio::test]
async fn an_impossible_timeout_is_refused_at_the_start() {
    for timeout in [Duration::ZERO, Duration::MAX] {
        let model = Model::handler(id("account"), Sleeper).with_statement_timeout(timeout);
        let mut replica = Replica::<Database>::new(&[], [model]).await;
        let refused = replica.session.check_models(&replica.models).await;
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("account") && error.contains("10ms to 600s"),
            "{error}"
        );
    }
}
