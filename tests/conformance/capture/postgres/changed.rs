//! Tables that change after they were captured: writes go on, and no event is built of what is not there.

use cqrs_outbox::{
    capture::{Capture, CaptureState},
    source::TrackedFields,
};

use super::bed::Bed;
use crate::fixture::{Fixture, account, model};

/// Keys and errors of what was refused.
pub(super) async fn refused(bed: &Bed) -> Vec<(String, String)> {
    let sql = "select instance_pk, error from cqrs_outbox_dead where body = '' order by id";
    sqlx::query_as(sql).fetch_all(&bed.pool).await.unwrap()
}

async fn changes(bed: &Bed) -> Vec<String> {
    let mut connection = bed.connection().await;
    connection.changes(&account()).await.unwrap()
}

const TABLE: &str = "create table account (id bigint primary key, balance int, v int, name text)";

#[tokio::test]
async fn a_dropped_column_fails_no_write_and_is_told() {
    let model = account().with_tracked(TrackedFields::All);
    let bed = Bed::of(TABLE, &model).await;
    bed.script("insert into account values (1, 1, 1, 'a'), (2, 2, 2, 'b'), (3, 3, 3, 'c')")
        .await;
    bed.news().await;
    bed.script("alter table account drop column balance").await;
    bed.script(
        "insert into account values (4, 4, 'd'); update account set name = 'x' where id < 3;
         update account set id = 5 where id = 2; delete from account where id = 1",
    )
    .await;
    // What is gone is gone for replicas too.
    assert_eq!(bed.news().await, ["DELETE 2 1", "DELETE 1 1"]);
    let refused = refused(&bed).await;
    let mut keys: Vec<_> = refused.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["1", "2", "4", "5"]);
    for words in ["balance is gone", "capture install --model account", "sync"] {
        assert!(refused[0].1.contains(words), "{}", refused[0].1);
    }
    bed.script("begin; update account set v = 9; truncate account; commit")
        .await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["DELETE 3 1", "DELETE 4 0", "DELETE 5 0"]);
    // Once installed again, all is as before.
    bed.install(&model).await;
    bed.script("insert into account values (6, 6, 'f')").await;
    assert_eq!(bed.news().await, ["SAVE 6 0"]);
}

#[tokio::test]
async fn status_names_the_columns() {
    let bed = Bed::of(TABLE, &account()).await;
    assert!(changes(&bed).await.is_empty());
    bed.script(
        "alter table account drop column balance, alter column v type text, add column email text",
    )
    .await;
    assert_eq!(bed.status(&account()).await, CaptureState::TableChanged);
    assert_eq!(
        changes(&bed).await,
        [
            "balance is gone",
            "v was integer and is text",
            "email is new"
        ]
    );
}

/// Without its key nothing can be said of an instance.
#[tokio::test]
async fn a_key_that_is_gone_is_told_once() {
    let bed = Bed::of(TABLE, &account()).await;
    bed.script(
        "alter table account rename column id to number;
         insert into account values (1, 1, 1, 'a'), (2, 1, 1, 'b')",
    )
    .await;
    bed.script("delete from account").await;
    bed.script("truncate account").await;
    assert!(bed.news().await.is_empty());
    let refused = refused(&bed).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, "");
    assert!(refused[0].1.contains("id is gone"), "{refused:?}");
}

/// What is new and not published changes nothing.
#[tokio::test]
async fn a_new_column_changes_nothing_until_it_is_captured() {
    let bed = Bed::of(TABLE, &account()).await;
    bed.script(
        "alter table account add column email text; insert into account values (1, 1, 1, 'a', 'e')",
    )
    .await;
    let lines = bed.take().await;
    assert!(!lines[0].text.contains("email"));
    assert!(refused(&bed).await.is_empty());
}

/// The function looks at the table that fired it, never at another one that has taken its name.
#[tokio::test]
async fn a_renamed_table_is_not_mistaken_for_another_one() {
    for table in [
        "create table account (id bigint primary key, name text)",
        "create table account (id bigint primary key, name text) partition by range (id);
         create table low partition of account for values from (0) to (10)",
    ] {
        let bed = Bed::of(table, &account()).await;
        bed.script(
            "insert into account values (1, 'a'); alter table account rename to account_old;
                    create table account (id bigint primary key, name text);
                    insert into account values (1, 'other')",
        )
        .await;
        bed.news().await;
        bed.script(
            "begin; update account_old set name = 'b'; update account_old set name = 'c'; commit",
        )
        .await;
        let lines = bed.take().await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].short(), "SAVE 1 1");
        assert_eq!(lines[0].json()["instance_data"]["name"], "c");
        bed.script("begin; update account_old set name = 'd'; delete from account_old; commit")
            .await;
        assert_eq!(bed.news().await, ["DELETE 1 2"]);
    }
}

#[tokio::test]
async fn rows_that_cannot_be_sent_are_counted() {
    let model = model("account", &["id"]).with_filter(r#"{"name__ne": "hidden"}"#.parse().unwrap());
    let bed = Bed::of("create table account (id text unique, name text)", &model).await;
    bed.script(
        "insert into account values (null, 'a'), ('', 'b'), (repeat('k', 600), 'c'), ('ok', 'd'),
         ('big', repeat('x', 20000)), (null, 'hidden')",
    )
    .await;
    let found = bed
        .connection()
        .await
        .unsendable(&model, 10_000)
        .await
        .unwrap();
    assert_eq!(found.rows, 4);
    let told = found.examples.join("\n");
    for words in [
        "null (its key is null)",
        "\"\" (its key is empty)",
        "512 bytes",
        "\"big\" (its event would be 20",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let found = bed
        .connection()
        .await
        .unsendable(&model, 100_000)
        .await
        .unwrap();
    assert_eq!(found.rows, 3);
}
