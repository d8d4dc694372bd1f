//! Partitions and heirs.

use cqrs_outbox::capture::{Capture, CaptureState};

use super::bed::Bed;
use crate::fixture::{Fixture, account, model};

const TABLES: &str = "create table account (id bigint primary key, n int) partition by range (id);
    create table low partition of account for values from (0) to (10);
    create table high partition of account for values from (10) to (100)";

#[tokio::test]
async fn writes_to_the_whole_and_to_its_parts_are_captured() {
    let bed = Bed::of(TABLES, &account()).await;
    bed.script("insert into account values (1, 0), (11, 0)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 11 0"]);
    bed.script("update low set n = 1").await;
    assert_eq!(bed.news().await, ["SAVE 1 1"]);
    bed.script("insert into high values (12, 0)").await;
    assert_eq!(bed.news().await, ["SAVE 12 0"]);
    // From one part to the other.
    bed.script("update account set id = 13 where id = 1").await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["DELETE 1 2", "SAVE 13 0"]);
    bed.script("insert into account values (2, 0)").await;
    bed.take().await;
    bed.script("truncate high").await;
    assert_eq!(
        bed.news().await,
        ["DELETE 11 1", "DELETE 12 1", "DELETE 13 1"]
    );
    bed.script("truncate account").await;
    assert_eq!(bed.news().await, ["DELETE 2 1"]);
}

#[tokio::test]
async fn a_new_part_is_told_and_a_part_alone_is_refused() {
    let bed = Bed::of(TABLES, &account()).await;
    bed.script("create table higher partition of account for values from (100) to (200)")
        .await;
    assert_eq!(bed.status(&account()).await, CaptureState::TableChanged);
    bed.install(&account()).await;
    bed.script("insert into higher values (100, 0)").await;
    assert_eq!(bed.news().await, ["SAVE 100 0"]);
    let error = bed
        .connection()
        .await
        .install(&model("low", &["id"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("part of account"), "{error}");
    bed.script("alter table account detach partition low").await;
    assert_eq!(bed.status(&account()).await, CaptureState::TableChanged);
    bed.install(&account()).await;
    bed.script("insert into low values (1, 0)").await;
    assert!(bed.news().await.is_empty());
}

#[tokio::test]
async fn views_and_missing_triggers_are_told() {
    let bed = Bed::of(TABLES, &account()).await;
    bed.script(
        "create view seen as select * from account;
         create unlogged table fleeting (id bigint primary key)",
    )
    .await;
    for (table, told) in [
        ("seen", "public.seen is a view"),
        ("fleeting", "alter table public.fleeting set logged"),
    ] {
        let mut connection = bed.connection().await;
        let error = connection
            .install(&model(table, &["id"]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
    bed.script("alter table low disable trigger \"cqrs_capture_account_insert\"")
        .await;
    assert_eq!(bed.status(&account()).await, CaptureState::Disabled);
    bed.install(&account()).await;
    assert_eq!(bed.status(&account()).await, CaptureState::Current);
    bed.script("drop trigger \"cqrs_capture_account_delete\" on low")
        .await;
    assert_eq!(bed.status(&account()).await, CaptureState::Damaged);
    bed.install(&account()).await;
    assert_eq!(bed.status(&account()).await, CaptureState::Current);
    bed.script("delete from cqrs_capture").await;
    assert_eq!(bed.status(&account()).await, CaptureState::Damaged);
}

#[tokio::test]
async fn a_model_that_moves_to_another_table_leaves_the_first() {
    let bed = Bed::of(
        "create table one (id bigint primary key); create table two (id bigint primary key)",
        &model("one", &["id"]),
    )
    .await;
    assert_eq!(
        bed.status(&model("two", &["id"])).await,
        CaptureState::ModelChanged
    );
    bed.install(&model("two", &["id"])).await;
    assert_eq!(
        bed.status(&model("two", &["id"])).await,
        CaptureState::Current
    );
    bed.script("insert into one values (1); insert into two values (2)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 2 0"]);
}
