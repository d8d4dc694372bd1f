//! What cannot be an event: the write goes on, and a dead row says why.

use cqrs_core::database::sqlite::SqliteConfig;
use cqrs_outbox::{OutboxSession, OutboxStore, Retried, sqlite::SqliteStore};

use super::bed::{Bed, model};

/// Keys and errors of the dead rows, in the order of their ids.
async fn dead(bed: &Bed) -> Vec<(String, String)> {
    let sql = "select substr(instance_pk, 1, 3), error from cqrs_outbox_dead
               where reason = 'failed' and attempts = 0 and body = '' and signal = 'SAVE' order by id";
    sqlx::query_as(sql).fetch_all(&bed.pool).await.unwrap()
}

async fn of_texts() -> Bed {
    let table = "create table account (id text unique, name text)";
    Bed::of(table, &model("account", &["id"])).await
}

#[tokio::test]
async fn a_write_of_what_cannot_be_sent_succeeds_and_leaves_a_dead_row() {
    let bed = of_texts().await;
    bed.execute(
        "insert into account values (null, 'a'), ('', 'b'), (printf('%.513c', 'k'), 'c'),
         (char(110, 0), 'n'), ('ok', 'd')",
    )
    .await;
    bed.execute("insert into account values ('big', printf('%.135000000c', 'x'))")
        .await;
    // Once for each instance, whatever is written.
    bed.execute("update account set name = 'e'").await;
    assert_eq!(bed.news().await, ["SAVE ok 0", "SAVE ok 1", "SAVE big 0"]);
    let dead = dead(&bed).await;
    let words = [
        "key is null",
        "limit is 512",
        "NUL character",
        "limit is 134217728",
    ];
    assert_eq!(dead.len(), words.len(), "{dead:?}");
    for ((_, error), words) in dead.iter().zip(words) {
        assert!(error.contains(words), "{error}");
    }
    // Of what can be no instance, an end is nothing.
    bed.execute("delete from account").await;
    assert_eq!(bed.news().await, ["DELETE ok 2", "DELETE big 1"]);
}

#[tokio::test]
async fn a_change_to_a_key_that_cannot_be_is_a_delete_and_a_dead_row() {
    let bed = of_texts().await;
    bed.execute("insert into account values ('a', 'x')").await;
    bed.news().await;
    bed.execute("update account set id = null").await;
    bed.execute("update account set id = 'c'").await;
    assert_eq!(bed.news().await, ["DELETE a 1", "SAVE c 0"]);
    assert_eq!(
        dead(&bed).await,
        [(String::new(), "its key is null".to_owned())]
    );
}

/// A part that is null is no part.
#[tokio::test]
async fn a_key_of_several_columns_needs_all_of_them() {
    let table = "create table account (a text, b int, name text, unique (a, b))";
    let bed = Bed::of(table, &model("account", &["a", "b"])).await;
    bed.execute("insert into account values ('[null]', 1, 'x'), ('y', null, 'y')")
        .await;
    bed.execute("delete from account").await;
    assert_eq!(
        bed.news().await,
        [r#"SAVE ["[null]",1] 0"#, r#"DELETE ["[null]",1] 1"#]
    );
    assert_eq!(dead(&bed).await[0].1, "a part of its key is null");
}

/// There is no event to send, so the row stays until it is discarded. Its id is its own.
#[tokio::test]
async fn a_refused_row_is_listed_and_not_retried() {
    let bed = of_texts().await;
    bed.execute("insert into account values ('', 'a')").await;
    bed.execute("insert into account values ('b', 'b')").await;
    let store = SqliteStore::new(SqliteConfig::new(bed.url()));
    let mut session = store.session().await.unwrap();
    assert_eq!(session.backlog().await.unwrap().dead, 1);
    let rows = session.dead_list(10).await.unwrap();
    assert_eq!(rows[0].error.as_deref(), Some("its key is empty"));
    assert_eq!(
        bed.number("select count(*) from cqrs_outbox where instance_pk = ''")
            .await,
        0
    );
    let retried = session.dead_retry(None, true).await.unwrap();
    assert_eq!(retried, Retried::default());
    assert_eq!(session.dead_discard(Some(&[rows[0].id])).await.unwrap(), 1);
}
