//! What cannot be an event: the write goes on, and a dead row says why.

use cqrs_core::database::postgres::PostgresConfig;
use cqrs_outbox::{OutboxSession, OutboxStore, Retried, postgres::PostgresStore};
use sqlx::Executor;

use super::bed::Bed;
use crate::fixture::{Fixture, model};

/// Keys and errors of the dead rows, in the order of their ids.
async fn dead(bed: &Bed) -> Vec<(String, String)> {
    let sql = "select left(instance_pk, 3), error from cqrs_outbox_dead
               where reason = 'failed' and attempts = 0 and body = '' and signal = 'SAVE' order by id";
    sqlx::query_as(sql).fetch_all(&bed.pool).await.unwrap()
}

async fn of_texts() -> Bed {
    let model = model("account", &["id"]);
    Bed::of("create table account (id text unique, name text)", &model).await
}

#[tokio::test]
async fn a_write_of_what_cannot_be_sent_succeeds_and_leaves_a_dead_row() {
    let bed = of_texts().await;
    bed.script(
        "insert into account values (null, 'a'), ('', 'b'), (repeat('k', 513), 'c'), ('ok', 'd');
         insert into account select 'big', repeat('x', 135000000)",
    )
    .await;
    // Once for each instance, whatever is written.
    bed.script("update account set name = 'e'").await;
    assert_eq!(bed.news().await, ["SAVE ok 0", "SAVE big 0", "SAVE ok 1"]);
    let dead = dead(&bed).await;
    let keys: Vec<_> = dead.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["", "kkk", "big"]);
    for ((_, error), words) in dead
        .iter()
        .zip(["key is", "limit is 512", "limit is 134217728"])
    {
        assert!(error.contains(words), "{error}");
    }
    // Of what can be no instance, an end is nothing.
    bed.script("delete from account where id = '' or id is null")
        .await;
    bed.script("truncate account").await;
    assert_eq!(bed.news().await, ["DELETE big 1", "DELETE ok 2"]);
    assert_eq!(dead.len(), 3);
}

#[tokio::test]
async fn a_change_to_a_key_that_cannot_be_is_a_delete_and_a_dead_row() {
    let bed = of_texts().await;
    bed.script("insert into account values ('a', 'x'), ('b', 'y')")
        .await;
    bed.news().await;
    bed.script("update account set id = null where id = 'a'")
        .await;
    bed.script("update account set id = 'c' where id is null")
        .await;
    assert_eq!(bed.news().await, ["DELETE a 1", "SAVE c 0"]);
    assert_eq!(
        dead(&bed).await,
        [(String::new(), "its key is null".to_owned())]
    );
}

/// Old values that do not fit are left out.
#[tokio::test]
async fn what_is_too_large_only_with_its_old_values_is_sent_without_them() {
    let model = model("account", &["id"]).with_tracked(cqrs_outbox::source::TrackedFields::All);
    let bed = Bed::of("create table account (id text unique, name text)", &model).await;
    bed.script("insert into account values ('a', repeat('x', 70000000))")
        .await;
    bed.script(
        "begin; update account set name = 'short';
         update account set name = repeat('y', 70000000); commit",
    )
    .await;
    let sizes =
        "select count(*) from cqrs_outbox where octet_length(body) between 70000000 and 71000000";
    assert_eq!(bed.number(sizes).await, 2);
    assert!(dead(&bed).await.is_empty());
}

/// Whatever a column holds: a length of time that no other system has, a text that no database stores.
#[tokio::test]
async fn odd_values_fail_no_write() {
    let model = model("account", &["id"]).with_tracked(cqrs_outbox::source::TrackedFields::All);
    let table = "create table account (id bigint primary key, length interval, doc json)";
    let bed = Bed::of(table, &model).await;
    bed.script(r#"insert into account values (1, '200000000 days', '{"a": "\u0000"}')"#)
        .await;
    bed.script(
        r#"begin; update account set doc = '{"b": "\ud800"}'; update account set doc = '{"c": 1}';
           update account set length = '1 day'; commit"#,
    )
    .await;
    let lines = bed.take().await;
    let shorts: Vec<_> = lines.iter().map(crate::fixture::Line::short).collect();
    assert_eq!(shorts, ["SAVE 1 0", "SAVE 1 1"]);
    assert!(
        lines[0]
            .text
            .contains(r#""length":"P200000000DT00H00M00S""#)
    );
    assert!(lines[1].text.contains(r#""doc":{"c": 1}"#));
}

/// There is no event to send, so the row stays until it is discarded.
#[tokio::test]
async fn a_refused_row_is_listed_and_not_retried() {
    let bed = of_texts().await;
    bed.script("insert into account values ('', 'a')").await;
    let store = PostgresStore::new(PostgresConfig::new(bed.database.secret_url(), "test"));
    let mut session = store.session().await.unwrap();
    assert_eq!(session.backlog().await.unwrap().dead, 1);
    let rows = session.dead_list(10).await.unwrap();
    assert_eq!(rows[0].error.as_deref(), Some("its key is empty"));
    let retried = session.dead_retry(None, true).await.unwrap();
    assert_eq!(retried, Retried::default());
    assert_eq!(session.dead_list(10).await.unwrap().len(), 1);
    assert_eq!(session.dead_discard(Some(&[rows[0].id])).await.unwrap(), 1);
}

/// Two that meet the same refused instance do not wait for each other.
#[tokio::test]
async fn writers_of_refused_rows_do_not_wait_for_each_other() {
    let bed = of_texts().await;
    let mut first = bed.begin().await;
    first
        .execute("insert into account values (null, 'a')")
        .await
        .unwrap();
    let mut second = bed.connection().await;
    second
        .execute("set lock_timeout = '2s'; insert into account values (null, 'b')")
        .await
        .unwrap();
    Bed::commit(first).await;
    assert_eq!(dead(&bed).await.len(), 2);
}
