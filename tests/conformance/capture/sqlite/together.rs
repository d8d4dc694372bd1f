//! Capture and `record` on one table.

use cqrs_outbox::{
    Change, InstanceKey, Master, Recorded, Table, begin, bulk_update, record, record_current,
    record_each,
};
use serde::Serialize;
use serde_json::json;
use sqlx::Executor;

use super::bed::{Bed, Line, model};

const TABLE: &str = "create table account (id integer primary key, name text)";

#[derive(Serialize)]
struct Account {
    id: i64,
    name: &'static str,
}

impl Master for Account {
    const CQRS_ID: &'static str = "account";

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        json!({"id": self.id, "name": self.name, "by": "application"})
    }
}

impl Table for Account {
    const TABLE: &'static str = "account";
    const KEY: &'static [&'static str] = &["id"];

    fn row(&self) -> impl Serialize {
        self
    }
}

async fn bed() -> Bed {
    Bed::of(TABLE, &model("account", &["id"])).await
}

#[tokio::test]
async fn a_write_and_its_record_are_one_event() {
    let bed = bed().await;
    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute("insert into account values (1, 'a')")
        .await
        .unwrap();
    let recorded = record(&mut tx, Change::saved(&Account { id: 1, name: "a" }))
        .await
        .unwrap();
    tx.execute("insert into account values (2, 'b')")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let lines = bed.lines().await;
    let shorts: Vec<_> = lines.iter().map(Line::short).collect();
    assert_eq!(shorts, ["SAVE 1 0", "SAVE 2 0"]);
    assert_eq!(lines[0].data()["by"], "application");
    assert_eq!(recorded.revision().unwrap().0, 0);
    assert!(lines[1].data().get("by").is_none());

    // Not with an event of an earlier transaction.
    let mut tx = begin(&bed.pool).await.unwrap();
    record(&mut tx, Change::saved(&Account { id: 1, name: "c" }))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 2 0", "SAVE 1 1"]);
}

#[tokio::test]
async fn a_delete_and_its_record_are_one_event() {
    let bed = bed().await;
    bed.execute("insert into account values (1, 'a')").await;
    bed.news().await;
    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute("delete from account").await.unwrap();
    let change = Change::deleted(&Account { id: 1, name: "a" }).custom(json!("why"));
    record(&mut tx, change).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.lines().await[0].data()["custom"], "why");
    assert_eq!(bed.news().await, ["DELETE 1 1"]);
}

#[tokio::test]
async fn what_a_savepoint_takes_back_is_not_counted_on() {
    let bed = bed().await;
    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute("savepoint s; insert into account values (1, 'a'); rollback to s")
        .await
        .unwrap();
    record(&mut tx, Change::saved(&Account { id: 1, name: "b" }))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0"]);
}

#[tokio::test]
async fn bulk_writes_and_current_states_are_one_event_each() {
    let bed = bed().await;
    bed.execute("insert into account values (1, 'a'), (2, 'b')")
        .await;
    bed.news().await;
    let mut tx = begin(&bed.pool).await.unwrap();
    let old = [Account { id: 1, name: "a" }, Account { id: 2, name: "b" }];
    let new = [Account { id: 1, name: "x" }, Account { id: 2, name: "y" }];
    bulk_update(&mut tx, old.iter().zip(&new)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 1", "SAVE 2 1"]);

    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute("update account set name = 'z' where id = 1; insert into account values (3, 'n')")
        .await
        .unwrap();
    for id in [1, 3] {
        let read =
            async |_: &mut _| Ok::<_, sqlx::Error>(Change::saved(&Account { id, name: "z" }));
        let recorded = record_current(&mut tx, "account", id, read).await.unwrap();
        assert!(matches!(recorded, Recorded::Event { .. }));
    }
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 2", "SAVE 3 0"]);
}

/// A sync carries the revision of an earlier transaction, which no save may take.
#[tokio::test]
async fn a_sync_in_sql_does_not_make_its_revision_ours() {
    let bed = bed().await;
    bed.execute("insert into account values (1, 'a')").await;
    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute(
        "insert into cqrs_record (cqrs_id, key, signal, data) values ('account', 1, 'SYNC', '{}')",
    )
    .await
    .unwrap();
    record(&mut tx, Change::saved(&Account { id: 1, name: "b" }))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0", "SYNC 1 0", "SAVE 1 1"]);
}

#[tokio::test]
async fn record_each_stays_apart() {
    let bed = bed().await;
    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute("insert into account values (1, 'a')")
        .await
        .unwrap();
    record_each(&mut tx, [Change::saved(&Account { id: 1, name: "a" })])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 1 1"]);
}

/// Nothing tells one transaction of a connection from the next, so `record` cannot know what is its
/// own.
#[tokio::test]
async fn in_other_transactions_each_is_an_event() {
    let bed = bed().await;
    let mut tx = bed.pool.begin().await.unwrap();
    tx.execute("insert into account values (1, 'a')")
        .await
        .unwrap();
    record(&mut tx, Change::saved(&Account { id: 1, name: "a" }))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 1 1"]);
}
