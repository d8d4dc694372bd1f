//! REPLACE takes rows away without a word: no trigger of a deletion fires, unless
//! `recursive_triggers` is on.

use sqlx::Executor;

use super::bed::{Bed, model};

const TABLE: &str = "create table account (
    id integer primary key, email text collate nocase unique, a int, b int, unique (b, a)
)";

#[tokio::test]
async fn rows_that_are_replaced_by_another_unique_index_are_deleted() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("insert into account values (1, 'x', 1, 1), (2, 'y', 2, 2), (3, 'z', 3, 3)")
        .await;
    bed.news().await;
    bed.execute("insert or replace into account values (4, 'X', 2, 2)")
        .await;
    let mut news = bed.news().await;
    news[..2].sort_unstable();
    assert_eq!(news, ["DELETE 1 1", "DELETE 2 1", "SAVE 4 0"]);
    bed.execute("replace into account (email) values ('Z')")
        .await;
    assert_eq!(bed.news().await, ["DELETE 3 1", "SAVE 5 0"]);
    bed.execute("update or replace account set email = 'z', a = 9 where id = 4")
        .await;
    assert_eq!(bed.news().await, ["DELETE 5 1", "SAVE 4 1"]);
    bed.execute("replace into account values (4, 'z', 7, 7)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 4 2"]);
    assert_eq!(
        bed.number("select count(*) from cqrs_capture_replaced")
            .await,
        0
    );
}

#[tokio::test]
async fn what_is_kept_is_not_deleted() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("insert into account values (1, 'x', 1, 1), (2, 'y', 2, 2)")
        .await;
    bed.news().await;
    bed.execute("insert or ignore into account values (3, 'x', 2, 2)")
        .await;
    bed.try_execute("insert into account values (3, 'x', 2, 2)")
        .await
        .unwrap_err();
    bed.execute(
        "insert into account values (3, 'x', 5, 5) on conflict (email) do update set a = 8",
    )
    .await;
    assert_eq!(bed.news().await, ["SAVE 1 1"]);
    bed.execute("insert into account values (3, 'z', 3, 3)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 3 0"]);
    bed.execute("insert or ignore into account values (4, 'x', 4, 4)")
        .await;
    bed.execute("delete from account where id = 1").await;
    bed.execute("update account set a = 7 where id = 2").await;
    assert_eq!(bed.news().await, ["DELETE 1 2", "SAVE 2 1"]);
}

#[tokio::test]
async fn recursive_triggers_tell_it_once() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("insert into account values (1, 'x', 1, 1), (2, 'y', 2, 2)")
        .await;
    bed.news().await;
    let mut connection = bed.connection().await;
    connection
        .execute("pragma recursive_triggers = on")
        .await
        .unwrap();
    connection
        .execute("replace into account values (3, 'x', 3, 3)")
        .await
        .unwrap();
    assert_eq!(bed.news().await, ["DELETE 1 1", "SAVE 3 0"]);
    // The row itself is gone for a moment.
    connection
        .execute("replace into account values (2, 'y', 5, 5)")
        .await
        .unwrap();
    assert_eq!(bed.news().await, ["DELETE 2 1", "SAVE 2 2"]);
}

#[tokio::test]
async fn what_replicas_never_had_is_not_deleted_there() {
    let declared = model("account", &["id"]).with_filter(r#"{"a__gte": 5}"#.parse().unwrap());
    let bed = Bed::of(TABLE, &declared).await;
    bed.execute("insert into account values (1, 'x', 1, 1), (2, 'y', 5, 5)")
        .await;
    bed.execute("replace into account values (3, 'x', 6, 6), (4, 'y', 1, 1)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 2 0", "SAVE 3 0", "DELETE 2 1"]);
}
