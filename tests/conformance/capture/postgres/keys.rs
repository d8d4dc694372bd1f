//! Keys of all kinds.

use cqrs_tests::postgres::TestDatabase;
use serde_json::json;

use super::bed::Bed;
use crate::fixture::{Fixture, Line, model};

#[tokio::test]
async fn keys_of_several_columns_and_kinds_are_found_again() {
    for (columns, key, row, canonical) in [
        (
            "a bigint, b text",
            vec!["b", "a"],
            "7, 'x\"y'",
            r#"["x\"y",7]"#,
        ),
        (
            "a uuid",
            vec!["a"],
            "'0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11'",
            "0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11",
        ),
        ("a varchar(9)", vec!["a"], "'é '", "é "),
        ("a char(4)", vec!["a"], "'ab'", "ab"),
        ("a numeric", vec!["a"], "1.50", "1.50"),
        ("a date", vec!["a"], "'2026-01-02'", "2026-01-02"),
        (
            "a timestamptz",
            vec!["a"],
            "'2026-01-02 03:04:05.5+00'",
            "2026-01-02T03:04:05.500Z",
        ),
    ] {
        let table = format!(
            "create table account ({columns}, n int, primary key ({}))",
            key.join(", ")
        );
        let bed = Bed::of(&table, &model("account", &key)).await;
        // Written twice, so that the row is looked for by its key.
        bed.script(&format!(
            "begin; insert into account values ({row}, 1); update account set n = 2; commit"
        ))
        .await;
        let lines = bed.take().await;
        assert_eq!(
            lines.iter().map(Line::short).collect::<Vec<_>>(),
            [format!("SAVE {canonical} 0")]
        );
        assert_eq!(lines[0].json()["instance_data"]["n"], json!(2), "{columns}");
        bed.script("begin; update account set n = 3; delete from account; commit")
            .await;
        assert_eq!(bed.news().await, [format!("DELETE {canonical} 1")]);
    }
}

/// Digits count, though the column's type holds such keys equal.
#[tokio::test]
async fn keys_that_only_look_alike_are_different_ones() {
    let bed = Bed::of(
        "create table account (id numeric primary key, name text)",
        &model("account", &["id"]),
    )
    .await;
    bed.script("insert into account values (1.5, 'a')").await;
    bed.take().await;
    bed.script("begin; update account set name = 'b'; update account set id = 1.50; commit")
        .await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["DELETE 1.5 1", "SAVE 1.50 0"]);
}

#[tokio::test]
async fn names_of_any_kind_are_quoted() {
    let cqrs_id = format!("a\"b$capture$'{}", "é".repeat(30));
    let mut model = model("a schema.ta\"ble", &["k\"ey"]);
    model.cqrs_id = cqrs_id.parse().unwrap();
    let model = model.with_filter(r#"{"va'l__ne": "$capture$ 'x'\\ %s"}"#.parse().unwrap());
    let bed = Bed::of(
        "create schema \"a schema\";
         create table \"a schema\".\"ta\"\"ble\" (\"k\"\"ey\" int primary key, \"va'l\" text)",
        &model,
    )
    .await;
    bed.script(
        "insert into \"a schema\".\"ta\"\"ble\" values (1, 'x'), (2, E'$capture$ ''x''\\\\ %s');
         truncate \"a schema\".\"ta\"\"ble\"",
    )
    .await;
    // One transaction: it began and ended in it.
    assert!(bed.news().await.is_empty());
    bed.script("insert into \"a schema\".\"ta\"\"ble\" values (1, 'x')")
        .await;
    bed.script("truncate \"a schema\".\"ta\"\"ble\"").await;
    assert_eq!(bed.news().await, ["SAVE 1 0", "DELETE 1 1"]);
}

/// As `record` and `sync` lock them, or two of them could wait for each other for ever.
#[tokio::test]
async fn keys_are_taken_byte_by_byte_whatever_the_order_of_the_database() {
    let database = TestDatabase::create_in_english().await.unwrap();
    let bed = Bed::over(database).await;
    bed.script("create table account (a text, b int, primary key (a, b))")
        .await;
    bed.install(&model("account", &["a", "b"])).await;
    bed.script("insert into account values ('a', 1), ('B', 1), ('b', 1), ('A', 1)")
        .await;
    let lines = bed.take().await;
    let keys: Vec<_> = lines.iter().map(|line| line.instance_pk.as_str()).collect();
    assert_eq!(
        keys,
        [r#"["A",1]"#, r#"["B",1]"#, r#"["a",1]"#, r#"["b",1]"#]
    );
}
