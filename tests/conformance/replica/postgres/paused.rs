//! Rights that are revoked, and triggers that fail some rows.

use std::time::Duration;

use cqrs_core::{SecretUrl, database::postgres::PostgresConfig};
use cqrs_replica::{Applied, LetterState, ReplicaStore, TableModel, postgres::PostgresReplica};

use super::{
    super::{
        fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
        message::account,
        paused::{PAUSED, goes_on_when_mended, replica, works_off},
    },
    Database,
};

/// Applies as a user with all rights of the tables that there are.
async fn as_user(replica: &mut Replica<Database>) -> String {
    let user = format!("cqrs_test_{:016x}", fastrand::u64(..));
    for sql in [
        format!("create role {user} login password 'secret'"),
        format!("grant all on all tables in schema public to {user}"),
        format!("grant all on all sequences in schema public to {user}"),
    ] {
        replica.fixture.execute(&sql).await;
    }
    let (_, host) = replica.fixture.database.url().rsplit_once('@').unwrap();
    let url = SecretUrl::new(format!("postgres://{user}:secret@{host}"));
    let config = PostgresConfig::new(url, "cqrs-tests");
    replica.session = PostgresReplica::new(config).session().await.unwrap();
    user
}

#[tokio::test]
async fn a_model_whose_right_is_revoked_goes_on_when_it_is_granted() {
    let mut replica = replica::<Database>().await;
    let user = as_user(&mut replica).await;
    let broken = format!("revoke insert, update on account from {user}");
    let mended = format!("grant insert, update on account to {user}");
    goes_on_when_mended(replica, &broken, &mended, "permission denied").await;
}

/// Without a right to the schema not even the catalog says what a table is like.
#[tokio::test]
async fn a_schema_that_may_not_be_used_stops_no_other_model() {
    let mut replica = replica::<Database>().await;
    replica.fixture.execute("create schema apart").await;
    replica
        .fixture
        .execute("alter table account set schema apart")
        .await;
    let columns = [("name", "name"), ("qty", "qty")];
    let models = [
        table(
            "account",
            TableModel::new("apart.account", "id").with_columns(columns),
        ),
        table("note", TableModel::new("note", "id")),
    ];
    replica.models = cqrs_replica::Models::new(models).unwrap();
    let user = as_user(&mut replica).await;
    replica
        .fixture
        .execute(&format!("grant all on apart.account to {user}"))
        .await;
    assert_eq!(replica.apply(&[account(1, 0, "a")]).await, [PAUSED]);
    let note = super::super::message::Message::save("note", "1", 0, "\"text\":\"x\"");
    assert_eq!(replica.one(&note).await, APPLIED);
    replica
        .fixture
        .execute(&format!("grant usage on schema apart to {user}"))
        .await;
    works_off(&mut replica, 0).await;
    assert_eq_rows(
        &replica.rows("select name from apart.account").await,
        &["a"],
    );
}

/// What only one message of a model fails for is its own, however much it looks like the table's.
#[tokio::test]
async fn a_message_that_fails_alone_does_not_keep_its_model_waiting() {
    let trigger = "create function strict() returns trigger language plpgsql as $$ begin
            if new.name = 'odd' then perform * from nowhere; end if; return new; end $$";
    let on =
        "create trigger strict before insert on account for each row execute function strict()";
    let model = table("account", TableModel::new("account", "id"));
    let mut replica = Replica::<Database>::new(&[ACCOUNT, trigger, on], [model]).await;
    assert_eq!(replica.one(&account(1, 0, "odd")).await, PAUSED);
    assert_eq!(replica.one(&account(2, 0, "even")).await, PAUSED);
    works_off(&mut replica, 1).await;
    assert_eq_rows(&replica.rows("select name from account").await, &["even"]);
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Retrying, 1));
    assert_eq!(letter.reason, "schema");
    // Its later failures are its own from the start.
    replica.make_due().await;
    let again = Applied::Retrying {
        attempts: 2,
        reason: "schema",
    };
    assert_eq!(replica.due().await.applied, [again]);
    assert_eq!(replica.one(&account(3, 0, "even")).await, APPLIED);
}

/// A rule of row level security, or an error that a trigger raises, is about a row.
#[tokio::test]
async fn a_row_that_a_rule_refuses_is_a_letter() {
    let trigger = "create function strict() returns trigger language plpgsql as $$ begin
            raise insufficient_privilege; end $$";
    let on = "create trigger strict before insert on account for each row
              when (new.name = 'raised') execute function strict()";
    let model = table("account", TableModel::new("account", "id"));
    let mut replica = Replica::<Database>::new(&[ACCOUNT, trigger, on], [model]).await;
    let user = as_user(&mut replica).await;
    for sql in [
        "alter table account enable row level security".to_owned(),
        format!(
            "create policy ours on account to {user} using (true) with check (name <> 'other')"
        ),
    ] {
        replica.fixture.execute(&sql).await;
    }
    let refused = Applied::Retrying {
        attempts: 1,
        reason: "schema",
    };
    let answers = replica
        .apply(&[
            account(1, 0, "raised"),
            account(2, 0, "other"),
            account(3, 0, "ours"),
        ])
        .await;
    assert_eq!(answers, [refused.clone(), refused, APPLIED]);
}

/// Thousands of letters of one model are worked off in bounded time, each looked at once.
#[tokio::test]
async fn many_letters_of_a_paused_model_are_taken_by_their_index() {
    let mut replica = replica::<Database>().await;
    replica
        .fixture
        .execute("alter table account rename to moved")
        .await;
    for first in 0..25 {
        let batch: Vec<_> = (1..=200)
            .map(|id| account(first * 200 + id, 0, "a"))
            .collect();
        assert!(
            replica
                .apply(&batch)
                .await
                .iter()
                .all(|answer| *answer == PAUSED)
        );
    }
    replica
        .fixture
        .execute("alter table moved rename to account")
        .await;
    let began = std::time::Instant::now();
    works_off(&mut replica, 0).await;
    assert!(began.elapsed() < Duration::from_mins(1));
    let count = "select count(*)::text from account";
    assert_eq_rows(&replica.rows(count).await, &["5000"]);
}
