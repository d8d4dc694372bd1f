//! Kinds of writes and tables.

use cqrs_outbox::source::TrackedFields;
use serde_json::json;
use sqlx::Connection;

use super::bed::Bed;
use crate::fixture::{Fixture, Line, account};

const TABLE: &str = "create table account (id bigint primary key, name text, note text)";

#[tokio::test]
async fn every_kind_of_write_is_an_event() {
    let bed = Bed::of(TABLE, &account().with_tracked(TrackedFields::All)).await;
    bed.script("insert into account values (1, 'a'), (2, 'b')")
        .await;
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 2 0"]);
    bed.script("update account set name = 'c' where id = 2")
        .await;
    let lines = bed.take().await;
    assert_eq!(lines[0].short(), "SAVE 2 1");
    assert_eq!(lines[0].json()["previous_data"], json!({"name": "b"}));
    bed.script(
        "insert into account values (2, 'd'), (3, 'e') on conflict (id) do update set name = excluded.name",
    )
    .await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["SAVE 2 2", "SAVE 3 0"]);
    bed.script("insert into account values (2, 'd') on conflict do nothing")
        .await;
    bed.script("update account set name = 'x' where false")
        .await;
    assert!(bed.news().await.is_empty());
    bed.script(
        "merge into account a using (values (3, 'f'), (4, 'g'), (1, null)) as v (id, name) on a.id = v.id
         when matched and v.name is null then delete
         when matched then update set name = v.name
         when not matched then insert values (v.id, v.name)",
    )
    .await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["DELETE 1 1", "SAVE 3 1", "SAVE 4 0"]);
    let mut session = bed.connection().await;
    let mut copy = session
        .copy_in_raw("copy account from stdin")
        .await
        .unwrap();
    copy.send("5\th\t\\N\n6\ti\t\\N\n".as_bytes())
        .await
        .unwrap();
    copy.finish().await.unwrap();
    session.close().await.unwrap();
    assert_eq!(bed.news().await, ["SAVE 5 0", "SAVE 6 0"]);
    bed.script("delete from account where id = 5").await;
    assert_eq!(bed.news().await, ["DELETE 5 1"]);
    bed.script("with gone as (delete from account where id = 6 returning name) insert into account select 7, name from gone").await;
    assert_eq!(bed.news().await, ["DELETE 6 1", "SAVE 7 0"]);
    bed.script("truncate account").await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(
        news,
        ["DELETE 2 3", "DELETE 3 2", "DELETE 4 1", "DELETE 7 1"]
    );
}

#[tokio::test]
async fn keys_that_are_exchanged_or_moved_are_told_apart() {
    let bed = Bed::of(
        "create table account (id bigint primary key deferrable initially immediate, name text);
         create unique index on account (id)",
        &account().with_tracked(TrackedFields::All),
    )
    .await;
    bed.script("insert into account values (1, 'a'), (2, 'b')")
        .await;
    bed.take().await;
    bed.script("drop index account_id_idx; update account set id = 3 - id")
        .await;
    let lines = bed.take().await;
    let shorts: Vec<_> = lines.iter().map(Line::short).collect();
    assert_eq!(shorts, ["SAVE 1 1", "SAVE 2 1"]);
    assert_eq!(lines[0].json()["instance_data"]["name"], "b");
    assert_eq!(lines[0].json()["previous_data"], json!({"name": "a"}));
    bed.script("update account set id = id + 1").await;
    let mut news = bed.news().await;
    news.sort();
    assert_eq!(news, ["DELETE 1 2", "SAVE 2 2", "SAVE 3 0"]);
}

#[tokio::test]
async fn cascades_reach_the_captured_table() {
    let bed = Bed::of(
        "create table parent (id bigint primary key);
         create table account (id bigint primary key, parent bigint
             references parent on delete cascade on update cascade)",
        &account(),
    )
    .await;
    bed.script(
        "insert into parent values (1), (2); insert into account values (1, 1), (2, 1), (3, 2)",
    )
    .await;
    bed.take().await;
    bed.script("delete from parent where id = 1").await;
    assert_eq!(bed.news().await, ["DELETE 1 1", "DELETE 2 1"]);
    bed.script("update parent set id = 5").await;
    let lines = bed.take().await;
    assert_eq!(lines[0].short(), "SAVE 3 1");
    assert_eq!(lines[0].json()["instance_data"]["parent"], 5);
    bed.script("truncate parent cascade").await;
    assert_eq!(bed.news().await, ["DELETE 3 2"]);
}

/// A row trigger's own write is captured before the statement that fired it.
#[tokio::test]
async fn what_a_trigger_writes_after_a_statement_counts() {
    let bed = Bed::of(
        "create table account (id bigint primary key, name text, changes int default 0);
         create function count_changes() returns trigger language plpgsql as $$ begin
             update account set changes = changes + 1 where id = new.id; return null;
         end $$;
         create trigger counts after insert or update of name on account
             for each row execute function count_changes();
         create function keep() returns trigger language plpgsql as $$ begin
             insert into account values (old.id, 'kept'); return null;
         end $$;
         create trigger keeps after delete on account for each row when (old.name = 'keep')
             execute function keep()",
        &account(),
    )
    .await;
    bed.script("insert into account values (1, 'a'), (2, 'keep')")
        .await;
    let lines = bed.take().await;
    assert_eq!(lines.len(), 2);
    assert!(
        lines
            .iter()
            .all(|line| line.json()["instance_data"]["changes"] == 1)
    );
    bed.script("update account set name = 'b' where id = 1")
        .await;
    let lines = bed.take().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].json()["instance_data"], {
        let mut state = json!({"id": 1, "name": "b", "changes": 2, "cqrs_revision": 1});
        state["cqrs_updated"] = lines[0].json()["instance_data"]["cqrs_updated"].clone();
        state
    });
    bed.script("delete from account where id = 2").await;
    let lines = bed.take().await;
    assert_eq!(lines[0].short(), "SAVE 2 1");
    assert_eq!(lines[0].json()["instance_data"]["name"], "kept");
}

#[tokio::test]
async fn generated_and_identity_columns_are_published() {
    let bed = Bed::of(
        "create type mood as enum ('so', 'la');
         create table account (id bigint generated always as identity primary key, n int,
             twice int generated always as (2 * n) stored, mood mood)",
        &account().with_filter(r#"{"mood": "so"}"#.parse().unwrap()),
    )
    .await;
    bed.script("insert into account (n, mood) values (4, 'so'), (5, 'la')")
        .await;
    bed.script("update account set n = 6").await;
    let lines = bed.take().await;
    assert_eq!(
        lines.iter().map(Line::short).collect::<Vec<_>>(),
        ["SAVE 1 0", "SAVE 1 1"]
    );
    assert_eq!(lines[1].json()["instance_data"]["twice"], 12);
    assert_eq!(lines[1].json()["instance_data"]["mood"], "so");
}

/// Time zones and styles of the writing session do not show.
#[tokio::test]
async fn values_do_not_depend_on_the_session() {
    let bed = Bed::of(
        "create table account (id bigint primary key, at timestamptz, ats timestamptz[], real float8, b bytea,
             i interval, is_list interval[])",
        &account(),
    )
    .await;
    let row = "'2026-01-02 03:04:05+00', array['2026-01-02 03:04:05+00'::timestamptz], 0.1, '\\x00ff', '1 day', array['1 month'::interval]";
    bed.script(&format!("insert into account values (1, {row})"))
        .await;
    bed.script(&format!(
        "set timezone = 'Asia/Kolkata'; set datestyle = 'german'; set intervalstyle = 'sql_standard';
         set bytea_output = 'escape'; set extra_float_digits = -3;
         insert into account values (2, {row}); reset all"
    ))
    .await;
    let lines = bed.take().await;
    let state = |line: &Line| {
        let mut state = line.json()["instance_data"].clone();
        state["id"] = json!(0);
        state["cqrs_updated"] = json!(0);
        state
    };
    assert_eq!(state(&lines[0]), state(&lines[1]));
    assert_eq!(state(&lines[0])["real"], 0.1);
    assert_eq!(state(&lines[0])["at"], "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn every_isolation_level_and_inner_transaction_is_captured() {
    let bed = Bed::of(TABLE, &account()).await;
    bed.script("insert into account values (1, 'a')").await;
    for level in ["read committed", "repeatable read", "serializable"] {
        bed.script(&format!(
            "begin isolation level {level}; update account set name = 'b';
             update account set name = '{level}'; commit"
        ))
        .await;
    }
    bed.script(
        "do $$ begin
             begin
                 update account set name = 'lost';
                 raise exception 'taken back';
             exception when others then null;
             end;
             insert into account values (2, 'kept');
         end $$",
    )
    .await;
    let lines = bed.take().await;
    let shorts: Vec<_> = lines.iter().map(Line::short).collect();
    assert_eq!(
        shorts,
        ["SAVE 1 0", "SAVE 1 1", "SAVE 1 2", "SAVE 1 3", "SAVE 2 0"]
    );
    assert_eq!(lines[3].json()["instance_data"]["name"], "serializable");
}
