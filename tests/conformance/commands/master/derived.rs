//! Models with code of their own.

use std::time::Duration;

use anyhow::Result;
use cqrs_core::InstanceKey;
use cqrs_outbox::{
    About, Master, Table,
    source::{ReadModel, Scan, SourceReader, SourceSnapshot, SourceStore, SyncOptions},
};
use cqrs_relay::{dump, sync};
use serde::Serialize;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::fixture::World;

/// Publishes less than its table has, under other names.
struct Account {
    id: i64,
    name: Option<String>,
    closed: bool,
}

#[derive(Serialize)]
struct Published<'a> {
    id: i64,
    shout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl Master for Account {
    const CQRS_ID: &'static str = "account";
    const TTL: Option<Duration> = Some(Duration::from_hours(1));

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        Published {
            id: self.id,
            shout: self.name.as_deref().unwrap_or_default().to_uppercase(),
            name: self.name.as_deref(),
        }
    }

    fn should_sync(&self) -> bool {
        !self.closed
    }

    fn meta(_: &About<'_>) -> Option<serde_json::Value> {
        Some(serde_json::json!({"by": "code"}))
    }
}

impl Table for Account {
    const TABLE: &'static str = "accounts";
    const KEY: &'static [&'static str] = &["id"];

    fn row(&self) -> impl Serialize {
        self.data()
    }
}

/// As `#[derive(FromRow)]` writes it.
impl<'r, R: Row> FromRow<'r, R> for Account
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            closed: row.try_get("closed")?,
        })
    }
}

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
