//! Who may do what.

use sqlx::{AssertSqlSafe, Executor};

use super::bed::Bed;
use crate::fixture::{Fixture, account};

/// Makes a role of this database's own, and gives a session that has taken it.
async fn session(bed: &Bed, rights: &str) -> (sqlx::PgConnection, String) {
    let role = format!(
        "\"cqrs_{}\"",
        bed.number("select oid::bigint from pg_database where datname = current_database()")
            .await
    );
    bed.script(&format!("drop role if exists {role}; create role {role}"))
        .await;
    bed.script(&rights.replace("ROLE", &role)).await;
    let mut session = bed.connection().await;
    session
        .execute(AssertSqlSafe(format!("set role {role}")))
        .await
        .unwrap();
    (session, role)
}

async fn forget(bed: &Bed, role: &str) {
    bed.script(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn whoever_may_write_the_table_needs_no_right_on_the_outbox() {
    let bed = Bed::new().await;
    bed.install(&account()).await;
    let (mut session, role) = session(
        &bed,
        "grant select, insert, update, delete on account to ROLE",
    )
    .await;
    session
        .execute("insert into account values (1, 'a'); update account set name = 'b'; delete from account")
        .await
        .unwrap();
    session
        .execute("insert into account values (1, 'a')")
        .await
        .unwrap();
    assert_eq!(bed.news().await, ["SAVE 1 0"]);
    let denied = session
        .execute("select public.cqrs_record('account', '1', '{}')")
        .await;
    assert!(
        denied
            .unwrap_err()
            .to_string()
            .contains("permission denied")
    );
    drop(session);
    forget(&bed, &role).await;
}

/// A trigger runs with its owner's rights: tables and functions of the writer's must not come before
/// ours, and nobody else may put the function on a table.
#[tokio::test]
async fn nothing_of_the_writers_runs_with_the_owners_rights() {
    let bed = Bed::new().await;
    bed.install(&account()).await;
    let (mut session, role) = session(
        &bed,
        "grant select, insert, update on account to ROLE; create schema mine authorization ROLE",
    )
    .await;
    session
        .execute(
            "set search_path = mine, public;
             create temp table cqrs_outbox (); create temp table cqrs_revision (); create temp table account (id int);
             create function mine.to_json(text) returns json language sql as 'select 1/0; select null::json';
             create function pg_temp.to_json(text) returns json language sql as 'select 1/0; select null::json'",
        )
        .await
        .unwrap();
    session
        .execute("begin; insert into public.account values (1, 'a'); update public.account set name = 'b'; commit")
        .await
        .unwrap();
    let lines = bed.take().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].json()["instance_data"]["name"], "b");
    session
        .execute("create table mine.other (id bigint, name text, note text, active boolean)")
        .await
        .unwrap();
    let denied = session
        .execute(
            "create trigger t after insert on mine.other referencing new table as cqrs_new
             for each statement execute function public.\"cqrs_capture_account\"()",
        )
        .await;
    assert!(
        denied
            .unwrap_err()
            .to_string()
            .contains("permission denied")
    );
    drop(session);
    forget(&bed, &role).await;
}

#[tokio::test]
async fn the_outbox_may_live_in_a_schema_of_its_own() {
    let bed = Bed::empty().await;
    let database = bed.number("select 1::bigint").await;
    assert_eq!(database, 1);
    let url = format!(
        "{}?options=-csearch_path%3Dqueue,public",
        bed.database.url()
    );
    bed.script("drop table cqrs_outbox_migrations; create schema queue; create table public.account (id bigint primary key, name citext)".replace("citext", "text").as_str()).await;
    cqrs_outbox::migrate(&cqrs_core::SecretUrl::new(url.clone()))
        .await
        .unwrap();
    let mut session = <sqlx::PgConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    cqrs_outbox::capture::Capture::install(&mut session, &account())
        .await
        .unwrap();
    // The writer's path does not have it.
    bed.script("begin; insert into account values (1, 'a'); update account set name = 'b'; commit")
        .await;
    assert_eq!(
        bed.number("select count(*) from queue.cqrs_outbox").await,
        1
    );
    assert_eq!(
        bed.number("select count(*) from public.cqrs_outbox").await,
        0
    );
    assert_eq!(
        bed.number("select queue.cqrs_record('x', '1', '{}')").await,
        0
    );
    assert_eq!(
        bed.number("select count(*) from queue.cqrs_outbox").await,
        2
    );
}
