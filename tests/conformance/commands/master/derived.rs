//! Models with code of their own.

use anyhow::Result;
use cqrs_core::InstanceKey;
use cqrs_outbox::source::{
    ReadModel, Scan, SourceReader, SourceSnapshot, SourceStore, SyncOptions,
};
use cqrs_relay::{dump, sync};
use cqrs_tests::account::Account;

use super::fixture::World;

/// The model of either database.
pub(crate) trait Coded: World {
    fn account() -> ReadModel<<Self::Store as SourceStore>::Row>;
}

#[cfg(feature = "servers")]
impl Coded for super::fixture::Postgres {
    fn account() -> ReadModel<sqlx::postgres::PgRow> {
        ReadModel::of::<Account>().unwrap()
    }
}

impl Coded for super::fixture::Sqlite {
    fn account() -> ReadModel<sqlx::sqlite::SqliteRow> {
        ReadModel::of::<Account>().unwrap()
    }
}

async fn accounts<W: World>(world: &W) -> Result<()> {
    world
        .run(
            "create table accounts (id bigint primary key, name text, closed boolean not null,
                 revision text, secret text default 'hush');
             insert into accounts (id, name, closed) values (1, 'ann', false), (2, 'bob', true),
                 (3, null, false);",
        )
        .await
}

pub(crate) async fn what_is_read_is_what_its_code_says<W: Coded>(world: W) -> Result<()> {
    accounts(&world).await?;
    let store = world.store();
    let table = store.table(W::account()).await?;
    let mut written = Vec::new();
    let options = dump::DumpOptions::default();
    let done = dump::dump(&store, &table, &options, &mut written, &mut ()).await?;
    assert_eq!((done.rows, done.filtered, done.failed), (2, 1, 0));
    let text = String::from_utf8(written)?;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "account");
    assert!(
        lines[1].starts_with(r#"{"id":1,"shout":"ANN","name":"ann","cqrs_revision":0,"#),
        "{text}"
    );
    assert!(
        lines[2].starts_with(r#"{"id":3,"shout":"","cqrs_revision":0,"#),
        "{text}"
    );
    // What is not for replicas gets no revision.
    let mut snapshot = store.snapshot(&table, Scan::new()).await?;
    let page = snapshot.next(10).await?.unwrap();
    assert_eq!((page.rows.len(), page.filtered), (2, 1));
    assert_eq!(page.rows[0].data, None);
    let mut reader = store.reader(&table).await?;
    let keys: Vec<InstanceKey> = (1..=4).map(InstanceKey::from).collect();
    let there: Vec<_> = reader
        .find(&keys)
        .await?
        .iter()
        .map(Option::is_some)
        .collect();
    assert_eq!(there, [true, false, true, false]);
    Ok(())
}

pub(crate) async fn what_is_sent_is_what_its_code_says<W: Coded>(world: W) -> Result<()> {
    accounts(&world).await?;
    let store = world.store();
    let table = store.table(W::account()).await?;
    let done = sync::sync(
        &store,
        &table,
        &cqrs_core::filter::Filter::default(),
        None,
        &sync::SyncPlan::default(),
        &mut (),
        &cqrs_relay::Shutdown::new(),
    )
    .await?;
    assert_eq!((done.synced, done.gone, done.failed), (2, 1, 0));
    let rows = world
        .database()
        .rows(world.choose(
            "select convert_from(body, 'UTF8') from cqrs_outbox order by id",
            "select body from cqrs_outbox order by id",
        ))
        .await?;
    let body: serde_json::Value = serde_json::from_str(rows[0][0].as_deref().unwrap())?;
    assert_eq!(body["instance_data"]["shout"], "ANN");
    assert_eq!(body["meta"]["by"], "code");
    assert_ne!(body["expires"], serde_json::Value::Null);
    Ok(())
}

pub(crate) async fn a_row_its_code_cannot_read_costs_only_itself<W: Coded>(world: W) -> Result<()> {
    world
        .run(world.choose(
            "create table accounts (id bigint primary key, name text, closed boolean);
             insert into accounts values (1, 'ann', false), (2, 'bob', null), (3, 'eve', false)",
            "create table accounts (id bigint primary key, name text, closed boolean);
             insert into accounts values (1, 'ann', 0), (2, 'bob', 'maybe'), (3, 'eve', 0)",
        ))
        .await?;
    let store = world.store();
    let table = store.table(W::account()).await?;
    let mut snapshot = store.snapshot(&table, Scan::with_content()).await?;
    let page = snapshot.next(10).await?.unwrap();
    assert_eq!((page.rows.len(), page.failed.len()), (2, 1));
    assert_eq!(page.failed[0].key, "2");
    snapshot.close().await;
    let mut reader = store.reader(&table).await?;
    let keys: Vec<InstanceKey> = (1..=3).map(InstanceKey::from).collect();
    let synced = reader.sync(keys, &SyncOptions::new()).await?;
    assert_eq!((synced.ids.len(), synced.failed.len()), (2, 1));
    Ok(())
}

pub(crate) async fn its_own_program_has_all_commands<W: Coded>(world: W) -> Result<()> {
    accounts(&world).await?;
    world.configure("cqrs_id = \"other\"\ntable = \"accounts\"\nkey = \"id\"")?;
    let program = world.choose("account-relay-postgres", "account-relay-sqlite");
    let run = async |arguments: &[&str], input: &str| {
        world.program(program, arguments, input).await?.good()
    };
    let dumped = run(&["dump", "-c", "account", "-o", "-"], "").await?;
    assert!(dumped.stdout.contains(r#""shout":"ANN""#), "{dumped:?}");
    let header = "account,2026-11-21 01:09:08.752663+00:00";
    let compared = run(&["diff", "-c", "account", "--content"], "").await?;
    let line = compared.stdout.lines().nth(1).unwrap();
    let rows = cqrs_core::stream::parse_rows(line)?;
    let keys: Vec<_> = rows.iter().map(|row| row.key.canonical()).collect();
    assert_eq!(keys, ["1", "3"]);
    let missing = run(&["deleted-diff"], &format!("{header}\n[1,2,3,4]\n[]\n")).await?;
    assert_eq!(missing.stdout, format!("{header}\n[2,4]\n[]\n"));
    let resent = run(&["diff-sync"], &format!("{header},billing\n[1,2]\n[]\n")).await?;
    assert!(
        resent.stdout.starts_with("1 instance recorded"),
        "{resent:?}"
    );
    run(&["sync", "-c", "account", "--all"], "").await?;
    // Those of the configuration are there beside it.
    run(&["sync", "-c", "other", "--all"], "").await?;
    let rows = world
        .database()
        .rows("select cqrs_id, instance_pk, queue from cqrs_outbox order by id")
        .await?;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row[0].as_deref().unwrap(), row[1].as_deref().unwrap()))
        .collect();
    let expected = [
        ("account", "1"),
        ("account", "1"),
        ("account", "3"),
        ("other", "1"),
        ("other", "2"),
        ("other", "3"),
    ];
    assert_eq!(rows, expected);
    run(&["status"], "").await?;
    Ok(())
}
