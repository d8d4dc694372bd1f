//! Writes and sessions that are rare, and must not fail or lose an event for it.

use cqrs_outbox::source::TrackedFields;
use serde_json::json;
use sqlx::{Connection, Executor};

use super::bed::Bed;
use crate::fixture::{Fixture, Line, account};

/// All actions of foreign keys for one statement come together, several versions of a row among them.
#[tokio::test]
async fn a_row_that_cascades_touch_twice_is_one_event() {
    let bed = Bed::of(
        "create table person (id int primary key);
         create table account (id int primary key,
             a int references person on delete set null on update cascade,
             b int references person on delete set null on update cascade)",
        &account().with_tracked(TrackedFields::All),
    )
    .await;
    bed.script(
        "insert into person values (1), (2), (3), (4);
         insert into account values (10, 1, 1), (11, 2, 1), (12, 3, 4)",
    )
    .await;
    bed.take().await;
    bed.script("delete from person where id = 1").await;
    let lines = bed.take().await;
    let mut short: Vec<_> = lines.iter().map(Line::short).collect();
    short.sort();
    assert_eq!(short, ["SAVE 10 1", "SAVE 11 1"]);
    let ten = lines.iter().find(|line| line.instance_pk == "10").unwrap();
    assert_eq!(ten.json()["instance_data"]["a"], json!(null));
    assert_eq!(ten.json()["instance_data"]["b"], json!(null));
    assert_eq!(ten.json()["previous_data"], json!({"a": 1, "b": 1}));
    bed.script("delete from person where id in (3, 4)").await;
    assert_eq!(bed.news().await, ["SAVE 12 1"]);
}

#[tokio::test]
async fn a_tree_whose_keys_move_is_deleted_and_created_anew() {
    let bed = Bed::of(
        "create table account (id int primary key, parent int references account on update cascade)",
        &account(),
    )
    .await;
    bed.script("insert into account values (1, null), (2, 1), (3, 2)")
        .await;
    bed.take().await;
    bed.script("update account set id = id + 100").await;
    let lines = bed.take().await;
    let mut short: Vec<_> = lines.iter().map(Line::short).collect();
    short.sort();
    assert_eq!(
        short,
        [
            "DELETE 1 1",
            "DELETE 2 1",
            "DELETE 3 1",
            "SAVE 101 0",
            "SAVE 102 0",
            "SAVE 103 0"
        ]
    );
    let last = lines.iter().find(|line| line.instance_pk == "103").unwrap();
    assert_eq!(last.json()["instance_data"]["parent"], 102);
}

#[tokio::test]
async fn heirs_with_equal_keys_are_one_instance() {
    let bed = Bed::of(
        "create table account (id int primary key, name text);
         create table heir () inherits (account)",
        &account(),
    )
    .await;
    bed.script("insert into account values (1, 'a'); insert into heir values (1, 'b')")
        .await;
    bed.take().await;
    bed.script("update account set name = 'c'").await;
    assert_eq!(bed.news().await, ["SAVE 1 1"]);
    bed.script("delete from account").await;
    assert_eq!(bed.news().await, ["DELETE 1 2"]);
}

/// Keys are compared byte by byte, whatever their column's order.
#[tokio::test]
async fn keys_of_any_collation_are_captured() {
    let bed = Bed::of(
        "create collation both_cases (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table account (id text collate both_cases primary key, name text)",
        &account(),
    )
    .await;
    bed.script("insert into account values ('a', 'x')").await;
    bed.script("update account set name = 'y'; update account set name = 'z'")
        .await;
    assert_eq!(bed.news().await, ["SAVE a 0", "SAVE a 1"]);
    bed.script("update account set id = 'A'").await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["DELETE a 2", "SAVE A 0"]);
    bed.script(
        "create table name (id varchar(20) collate \"en-x-icu\"); insert into name values ('ä')",
    )
    .await;
    bed.script("select cqrs_record(id, to_json(id), '{}') from name")
        .await;
    assert_eq!(bed.news().await, ["SAVE ä 0"]);
}

#[tokio::test]
async fn a_dropped_table_may_come_back() {
    let table = "create table account (id int primary key, name text)";
    let bed = Bed::of(table, &account()).await;
    bed.script("drop table account").await;
    bed.script(table).await;
    bed.install(&account()).await;
    bed.script("insert into account values (1, 'a')").await;
    assert_eq!(bed.news().await, ["SAVE 1 0"]);
}

/// A setting of old applications, under which a backslash in a text escapes.
#[tokio::test]
async fn the_sessions_way_with_backslashes_does_not_matter() {
    let bed = Bed::of(
        "create table account (id int primary key, name text)",
        &account(),
    )
    .await;
    let mut session = bed.connection().await;
    session
        .execute(
            "set standard_conforming_strings = off;
             insert into account values (1, 'a'); update account set name = 'b';
             select cqrs_record('other', '\"k\"', '{}')",
        )
        .await
        .unwrap();
    session.close().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE k 0"]);
}

#[tokio::test]
async fn very_many_fields_can_be_tracked() {
    let columns: Vec<_> = (0..250)
        .map(|number| format!("c{number} int default 0"))
        .collect();
    let table = format!(
        "create table account (id int primary key, {})",
        columns.join(", ")
    );
    let bed = Bed::of(&table, &account().with_tracked(TrackedFields::All)).await;
    bed.script("insert into account (id) values (1)").await;
    bed.take().await;
    bed.script("update account set c3 = 1, c120 = 2, c249 = 3")
        .await;
    let lines = bed.take().await;
    assert_eq!(
        lines[0].json()["previous_data"],
        json!({"c3": 0, "c120": 0, "c249": 0})
    );
}

/// A row that was published may get its revision from somebody else just now: a dump, or a sync.
#[tokio::test]
async fn a_row_that_leaves_the_filter_is_deleted_while_a_sync_is_open() {
    let filter = r#"{"name": "on"}"#.parse().unwrap();
    let bed = Bed::empty().await;
    bed.script("create table account (id int primary key, name text); insert into account values (1, 'on')")
        .await;
    bed.install(&account().with_filter(filter)).await;
    let mut sync = bed.begin().await;
    Bed::run(
        &mut sync,
        "select cqrs_record('account', '1', '{\"id\": 1, \"name\": \"on\"}', 'SYNC')",
    )
    .await;
    let leaving = bed.script("update account set name = 'off'");
    let syncing = async {
        // The update waits for the sync, which tells it that there is something to take back.
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        while bed.number(waiting).await == 0 {}
        Bed::commit(sync).await;
    };
    tokio::join!(leaving, syncing);
    assert_eq!(bed.news().await, ["SYNC 1 0", "DELETE 1 1"]);
}
