//! Keys of every kind, and what happens when one changes.

use serde_json::json;

use super::bed::{Bed, model};

#[tokio::test]
async fn a_change_of_the_key_is_a_delete_and_a_create() {
    let table = "create table account (id integer primary key, name text)";
    let bed = Bed::of(table, &model("account", &["id"])).await;
    bed.execute("insert into account values (2, 'b'), (3, 'c'), (1, 'a')")
        .await;
    bed.news().await;
    bed.execute("update account set id = 9 where id = 1").await;
    assert_eq!(bed.news().await, ["DELETE 1 1", "SAVE 9 0"]);
    // What one row has left another one takes.
    bed.execute("update account set id = id - 1").await;
    let lines = bed.lines().await;
    let names: Vec<_> = lines
        .iter()
        .map(|line| (line.short(), line.data()["name"].clone()))
        .collect();
    assert_eq!(
        names,
        [
            ("DELETE 2 1".to_owned(), json!(null)),
            ("SAVE 1 2".to_owned(), json!("b")),
            ("DELETE 3 1".to_owned(), json!(null)),
            ("SAVE 2 2".to_owned(), json!("c")),
            ("DELETE 9 1".to_owned(), json!(null)),
            ("SAVE 8 0".to_owned(), json!("a")),
        ]
    );
}

#[tokio::test]
async fn a_key_of_several_columns_is_a_list() {
    let table = "create table account (a text, b int, c text, d blob, n text, primary key (b, a, c, d)) without rowid";
    let bed = Bed::of(table, &model("account", &["a", "b", "c", "d"])).await;
    bed.execute("insert into account values ('x\"\\é' || char(9), 7, '7', x'000102030405060708090a0b0c0d0e0f', 'n')")
        .await;
    bed.execute("update account set n = 'm'").await;
    bed.execute("delete from account").await;
    let lines = bed.lines().await;
    let key = "[\"x\\\"\\\\é\\t\",7,\"7\",\"00010203-0405-0607-0809-0a0b0c0d0e0f\"]";
    for (line, signal) in lines.iter().zip(["SAVE", "SAVE", "DELETE"]) {
        assert_eq!(
            (line.signal.as_str(), line.instance_pk.as_str()),
            (signal, key)
        );
        assert_eq!(
            line.body["instance_pk"],
            serde_json::from_str::<serde_json::Value>(key).unwrap()
        );
    }
    assert_eq!(lines.len(), 3);
}

/// SQLite holds them equal, the wire does not.
#[tokio::test]
async fn keys_that_differ_in_case_are_different_instances() {
    let table = "create table account (id text collate nocase primary key, name text)";
    let bed = Bed::of(table, &model("account", &["id"])).await;
    bed.execute("insert into account values ('a', 'x')").await;
    bed.execute("update account set id = 'A'").await;
    assert_eq!(bed.news().await, ["SAVE a 0", "DELETE a 1", "SAVE A 0"]);
    bed.execute("insert or replace into account values ('a', 'y')")
        .await;
    assert_eq!(bed.news().await, ["DELETE A 1", "SAVE a 2"]);
    bed.execute("insert into account values ('A', 'z') on conflict do update set id = excluded.id")
        .await;
    assert_eq!(bed.news().await, ["DELETE a 3", "SAVE A 2"]);
}

#[tokio::test]
async fn a_key_may_be_another_unique_column() {
    let table = "create table account (row integer primary key, code text unique, name text)";
    let bed = Bed::of(table, &model("account", &["code"])).await;
    bed.execute("insert into account values (1, 'a', 'x'), (2, 'b', 'y')")
        .await;
    bed.execute("update account set row = 3 where row = 1")
        .await;
    assert_eq!(bed.news().await, ["SAVE a 0", "SAVE b 0", "SAVE a 1"]);
    bed.execute("replace into account values (3, 'c', 'z')")
        .await;
    assert_eq!(bed.news().await, ["DELETE a 2", "SAVE c 0"]);
}
