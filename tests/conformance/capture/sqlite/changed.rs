//! Tables that change after they were captured.

use cqrs_outbox::capture::{Capture, CaptureState};

use super::bed::{Bed, model};

const TABLE: &str = "create table account (id integer primary key, balance int, v int, name text)";

/// The triggers name it, so SQLite keeps it.
#[tokio::test]
async fn a_captured_column_cannot_be_dropped() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    let refusal = bed
        .try_execute("alter table account drop column balance")
        .await
        .unwrap_err();
    assert!(refusal.contains("error in trigger"), "{refusal}");
    bed.execute("insert into account values (1, 1, 1, 'a')")
        .await;
    assert_eq!(bed.news().await, ["SAVE 1 0"]);
}

#[tokio::test]
async fn status_names_the_columns() {
    let declared = model("account", &["id"]);
    let bed = Bed::of(TABLE, &declared).await;
    bed.execute(
        "alter table account add column email text; alter table account rename column v to w",
    )
    .await;
    assert_eq!(bed.status(&declared).await, CaptureState::TableChanged);
    assert_eq!(
        bed.connection().await.changes(&declared).await.unwrap(),
        ["v is gone", "w is new", "email is new"]
    );
}

/// The way to another type: what SQLite drops with the old table is told.
#[tokio::test]
async fn a_table_that_is_made_again_has_lost_its_triggers() {
    let declared = model("account", &["id"]);
    let bed = Bed::of(TABLE, &declared).await;
    bed.execute(
        "begin immediate; create table next (id integer primary key, balance int, v text, name text);
         insert into next select * from account; drop table account;
         alter table next rename to account; commit",
    )
    .await;
    assert_eq!(bed.status(&declared).await, CaptureState::Damaged);
    bed.install(&declared).await;
    bed.execute("insert into account values (1, 1, 'yes', 'a')")
        .await;
    assert_eq!(bed.lines().await[0].data()["v"], "yes");
}

/// SQLite renames it in the triggers as well.
#[tokio::test]
async fn a_renamed_table_is_not_mistaken_for_another_one() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("insert into account values (1, 1, 1, 'a')")
        .await;
    bed.execute(
        "alter table account rename to account_old;
         create table account (id integer primary key, balance int, v int, name text);
         insert into account values (1, 1, 1, 'other')",
    )
    .await;
    bed.news().await;
    bed.execute("update account_old set name = 'b'").await;
    assert_eq!(bed.lines().await[0].data()["name"], "b");
}

#[tokio::test]
async fn rows_that_cannot_be_sent_are_counted() {
    let declared = model("account", &["id"]);
    let bed = Bed::of(
        "create table account (id text unique, name text)",
        &declared,
    )
    .await;
    bed.execute(
        "insert into account values (null, 'a'), ('', 'b'), (printf('%.600c', 'k'), 'c'), ('ok', 'd'),
         ('big', printf('%.20000c', 'x'))",
    )
    .await;
    let mut connection = bed.connection().await;
    let found = connection.unsendable(&declared, 10_000).await.unwrap();
    assert_eq!(found.rows, 4, "{found:?}");
    let told = found.examples.join("\n");
    for words in [
        "its key is null",
        "its key is empty",
        "512 bytes",
        "\"big\" (its event would be 20",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let found = connection.unsendable(&declared, 100_000).await.unwrap();
    assert_eq!(found.rows, 3);
}
