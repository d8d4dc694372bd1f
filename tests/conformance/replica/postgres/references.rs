//! What foreign keys of PostgreSQL have of their own.

use cqrs_replica::{Applied, TableModel, WaitReason};

use super::{
    super::{
        fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
        message::{Message, account},
    },
    Database,
};

const WAITS: Applied = Applied::Waiting(WaitReason::Reference);

fn note(key: i64, account: i64) -> Message {
    let data = format!("\"account\":{account}");
    Message::save("note", &key.to_string(), 0, &data)
}

async fn replica(account: &str) -> Replica<Database> {
    let create = "create table note (id integer primary key,
                  account integer constraint of_an_account references account (id))";
    let models = ["account", "note"].map(|name| table(name, TableModel::new(name, "id")));
    Replica::new(&[account, create], models).await
}

/// A batch with rows that wait is repeated as a whole, not one by one.
#[tokio::test]
async fn those_that_do_not_wait_are_written_together() {
    let mut replica = replica(ACCOUNT).await;
    replica.one(&account(1, 0, "a")).await;
    let batch: Vec<Message> = (0..20).map(|key| note(key, 1 + key % 2)).collect();
    replica.apply(&batch).await;
    assert_eq_rows(
        &replica
            .rows("select count(*)::text, count(distinct xmin::text)::text from note")
            .await,
        &["10|1"],
    );
    // So are letters.
    replica.one(&account(3, 0, "a")).await;
    replica
        .fixture
        .execute("update cqrs_dead_letter set next_attempt_at = created_at")
        .await;
    replica
        .fixture
        .execute("insert into account values (2, 'by hand', 1)")
        .await;
    let due = replica.due().await;
    assert_eq!(due.applied, vec![APPLIED; 10]);
    let count = "select count(distinct xmin::text)::text from note";
    assert_eq_rows(&replica.rows(count).await, &["2"]);
}

#[tokio::test]
async fn the_error_names_the_constraint() {
    let mut replica = replica(ACCOUNT).await;
    assert_eq!(replica.one(&note(9, 712)).await, WAITS);
    assert_eq!(
        replica.letters().await[0].error.as_deref(),
        Some(
            "column \"account\" must refer to a row of public.account by (\"id\") (constraint \
             \"of_an_account\"), and it is not there: 712"
        )
    );
}

/// Such a table has a foreign key for each of its partitions beside the one that counts.
#[tokio::test]
async fn a_partitioned_table_can_be_referred_to() {
    let create = "create table account (id integer primary key, name text not null, qty integer)
                  partition by hash (id)";
    let mut replica = {
        let models = ["account", "note"].map(|name| table(name, TableModel::new(name, "id")));
        let partition = |n: u8| {
            format!(
                "create table account_{n} partition of account
                 for values with (modulus 2, remainder {n})"
            )
        };
        let note = "create table note (id integer primary key,
                    account integer references account (id))";
        Replica::<Database>::new(&[create, &partition(0), &partition(1), note], models).await
    };
    let batch = [note(1, 1), note(2, 2), account(1, 0, "a")];
    assert_eq!(replica.apply(&batch).await, [APPLIED, WAITS, APPLIED]);
    replica.one(&account(2, 0, "b")).await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
}
