//! Tables are read while others write them.

use std::collections::HashSet;
#[cfg(feature = "servers")]
use std::time::Duration;

use anyhow::Result;
use cqrs_core::{Clock, InstanceKey, Signal, SystemClock, filter::Filter};
use cqrs_outbox::{
    self as outbox, Change,
    source::{Scan, SourceReader, SourceSnapshot, SourceStore},
};
use cqrs_tests::database::Database;
#[cfg(feature = "servers")]
use cqrs_tests::wait::{Seen, until};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fixture::{World, model};

const ROWS: i64 = 300;

async fn accounts<W: World>(world: &W) -> Result<()> {
    world
        .run(
            "create table thing (id bigint primary key, amount bigint not null, version bigint not null);
             with recursive g (i) as (select 1 union all select i + 1 from g where i < 300)
             insert into thing select i, 100, 0 from g;",
        )
        .await
}

/// Moves amounts between rows and records both, until told to stop.
fn writers(database: &Database, stop: &CancellationToken) -> JoinSet<Result<u64>> {
    let mut writers = JoinSet::new();
    for seed in 0..3 {
        let stop = stop.clone();
        match database {
            Database::Postgres { pool, .. } => {
                let pool = pool.clone();
                writers.spawn(async move {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut moved = 0;
                    while !stop.is_cancelled() {
                        let mut tx = pool.begin().await?;
                        let mut changes = Vec::new();
                        for (key, amount) in draw(&mut random) {
                            let row: (i64, i64) = sqlx::query_as(
                                "update thing set amount = amount + $2, version = version + 1
                                 where id = $1 returning amount, version",
                            )
                            .bind(key)
                            .bind(amount)
                            .fetch_one(&mut *tx)
                            .await?;
                            changes.push(saved(key, row));
                        }
                        outbox::record_all(&mut tx, changes).await?;
                        tx.commit().await?;
                        moved += 1;
                    }
                    Ok(moved)
                });
            }
            Database::Sqlite { pool, .. } => {
                let pool = pool.clone();
                writers.spawn(async move {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut moved = 0;
                    while !stop.is_cancelled() {
                        let mut tx = outbox::begin(&pool).await?;
                        let mut changes = Vec::new();
                        for (key, amount) in draw(&mut random) {
                            let row: (i64, i64) = sqlx::query_as(
                                "update thing set amount = amount + $2, version = version + 1
                                 where id = $1 returning amount, version",
                            )
                            .bind(key)
                            .bind(amount)
                            .fetch_one(&mut *tx)
                            .await?;
                            changes.push(saved(key, row));
                        }
                        outbox::record_all(&mut tx, changes).await?;
                        tx.commit().await?;
                        moved += 1;
                    }
                    Ok(moved)
                });
            }
        }
    }
    writers
}

fn draw(random: &mut fastrand::Rng) -> [(i64, i64); 2] {
    let first = random.i64(1..ROWS);
    let second = random.i64(first + 1..=ROWS);
    let amount = random.i64(1..50);
    [(first, amount), (second, -amount)]
}

fn saved(key: i64, (amount, version): (i64, i64)) -> Change {
    let data = json!({"id": key, "amount": amount, "version": version});
    Change::json("thing", key, Signal::Save, data)
}

pub(crate) async fn a_snapshot_is_of_one_moment<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let stop = CancellationToken::new();
    let mut writers = writers(world.database(), &stop);
    let store = world.store();
    let table = store.table(model("thing", &["id"])).await?;
    let mut complete = 0;
    for _ in 0..10 {
        let mut snapshot = store.snapshot(&table, Scan::with_content()).await?;
        let mut sum = 0;
        let mut seen = HashSet::new();
        let mut recording = 0;
        while let Some(page) = snapshot.next(20).await? {
            recording += page.recording;
            for row in page.rows {
                let data: serde_json::Value = serde_json::from_str(row.data.as_deref().unwrap())?;
                let version = data["version"].as_i64().unwrap();
                // The first recorded change of a row is its version 1 and revision 0, unless a
                // snapshot has seen version 0 before, as revision 0.
                let ahead = version - row.revision.0;
                assert!((0..=1).contains(&ahead), "{row:?}");
                sum += data["amount"].as_i64().unwrap();
                assert!(seen.insert(row.instance_pk));
            }
        }
        snapshot.close().await;
        assert_eq!(i64::try_from(seen.len() + recording)?, ROWS);
        if recording == 0 {
            assert_eq!(sum, ROWS * 100);
            complete += 1;
        }
    }
    assert!(complete > 0);
    stop.cancel();
    while let Some(moved) = writers.join_next().await {
        assert!(moved?? > 0);
    }
    Ok(())
}

/// Records changes in one transaction.
async fn record_all(database: &Database, changes: Vec<Change>) -> Result<()> {
    match database {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            for change in changes {
                outbox::record(&mut tx, change).await?;
            }
            Ok(tx.commit().await?)
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            for change in changes {
                outbox::record(&mut tx, change).await?;
            }
            Ok(tx.commit().await?)
        }
    }
}

/// A row of before the outbox that leaves while a dump reads is not in the dump, or its delete is newer than
/// what the dump has of it.
pub(crate) async fn what_leaves_during_a_dump_does_not_come_back<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let store = world.store();
    let table = store.table(model("thing", &["id"])).await?;
    let mut snapshot = store.snapshot(&table, Scan::with_content()).await?;
    let hidden = |id| Change::saved(&Hidden { id });
    let saved = |id: i64| saved(id, (1, 1));
    let deleted = |id: i64| Change::json("thing", id, Signal::Delete, ());
    let database = world.database();
    record_all(database, vec![hidden(200)]).await?;
    record_all(database, vec![saved(201), hidden(201)]).await?;
    record_all(database, vec![saved(202), deleted(202)]).await?;
    record_all(database, vec![deleted(203)]).await?;
    let mut dumped = std::collections::HashMap::new();
    while let Some(page) = snapshot.next(50).await? {
        dumped.extend(
            page.rows
                .into_iter()
                .map(|row| (row.instance_pk, row.revision.0)),
        );
    }
    snapshot.close().await;
    assert!(dumped.contains_key("199") && dumped.contains_key("204"));
    let ends = database
        .rows("select instance_pk, cast(revision as text) from cqrs_outbox where signal = 'DELETE'")
        .await?;
    for key in ["200", "201", "202", "203"] {
        let Some(revision) = dumped.get(key) else {
            continue;
        };
        let later = ends.iter().any(|row| {
            row[0].as_deref() == Some(key)
                && row[1].as_deref().and_then(|text| text.parse().ok()) > Some(*revision)
        });
        assert!(
            later,
            "{key} is in the dump, and nothing takes it back: {ends:?}"
        );
    }
    Ok(())
}

/// A thing that replicas are not to have.
#[derive(serde::Serialize)]
struct Hidden {
    id: i64,
}

impl outbox::Master for Hidden {
    const CQRS_ID: &'static str = "thing";
    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl serde::Serialize {
        self
    }

    fn should_sync(&self) -> bool {
        false
    }
}

/// Rows that were never recorded, read by two at once: each gives some their revisions, and both see all.
/// Those are of the moment that is seen, so that what is written meanwhile is newer.
pub(crate) async fn two_snapshots_at_once_both_have_all<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let store = world.store();
    let table = store.table(model("thing", &["id"])).await?;
    let mut first = store.snapshot(&table, Scan::new()).await?;
    let mut second = store.snapshot(&table, Scan::new()).await?;
    let moment = SystemClock.now();
    let mut seen = [0, 0];
    for (turn, limit) in [(0, 100), (1, 200), (0, 200), (1, 100)] {
        let snapshot = if turn == 0 { &mut first } else { &mut second };
        let page = snapshot.next(limit).await?.unwrap();
        assert_eq!(page.recording, 0);
        assert!(page.rows.iter().all(|row| row.updated <= moment));
        seen[turn] += page.rows.len();
    }
    assert_eq!(seen, [300, 300]);
    first.close().await;
    second.close().await;
    Ok(())
}

pub(crate) async fn pages_lose_and_double_nothing<W: World>(world: W) -> Result<()> {
    world
        .run(
            "create table thing (id bigint primary key, name text);
             with recursive g (i) as (select 1 union all select i + 1 from g where i < 1000)
             insert into thing select i * 10, 'stays' from g;",
        )
        .await?;
    let store = world.store();
    let table = store.table(model("thing", &["id"])).await?;
    let mut reader = store.reader(&table).await?;
    let mut keys: Vec<InstanceKey> = Vec::new();
    let mut after = None;
    let mut turn: i64 = 0;
    loop {
        let page = reader.keys(&Filter::default(), after.as_ref(), 37).await?;
        keys.extend(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
        // Rows come and go before and behind the place.
        turn += 1;
        for key in [turn * 330 - 300, turn * 330 + 1, turn * 370 + 55, 11] {
            let key = if key % 10 == 0 { key + 3 } else { key };
            insert(world.database(), key).await?;
        }
        world
            .database()
            .execute("delete from thing where name = 'comes' and id % 3 = 0")
            .await?;
    }
    let stays: Vec<_> = keys
        .iter()
        .filter_map(|key| key.canonical().parse::<i64>().ok())
        .filter(|key| key % 10 == 0)
        .collect();
    let expected: Vec<i64> = (1..=1000).map(|key| key * 10).collect();
    assert_eq!(stays, expected);
    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
    assert!(keys.len() > 1000);
    Ok(())
}

async fn insert(database: &Database, key: i64) -> Result<()> {
    let sql = "insert into thing values ($1, 'comes') on conflict do nothing";
    match database {
        Database::Postgres { pool, .. } => {
            sqlx::query(sql).bind(key).execute(pool).await?;
        }
        Database::Sqlite { pool, .. } => {
            sqlx::query(sql).bind(key).execute(pool).await?;
        }
    }
    Ok(())
}

/// On `PostgreSQL`: whoever records an instance for the first time is waited for, and has it.
#[cfg(feature = "servers")]
#[tokio::test]
async fn an_instance_that_is_being_recorded_comes_by_the_broker() {
    let world = super::fixture::Postgres::create().await.unwrap();
    let Database::Postgres { pool, .. } = world.database() else {
        panic!("it is PostgreSQL");
    };
    world
        .run(
            "create table thing (id bigint primary key, name text);
             insert into thing values (1, 'a'), (2, 'b');",
        )
        .await
        .unwrap();
    let mut tx = pool.begin().await.unwrap();
    outbox::record(&mut tx, saved(2, (1, 1))).await.unwrap();
    let store = world.store();
    let table = store.table(model("thing", &["id"])).await.unwrap();
    let mut snapshot = store.snapshot(&table, Scan::new()).await.unwrap();
    let page = {
        let next = snapshot.next(10);
        tokio::pin!(next);
        let early = tokio::time::timeout(Duration::from_millis(300), &mut next).await;
        assert!(early.is_err(), "{early:?}");
        tx.commit().await.unwrap();
        next.await.unwrap().unwrap()
    };
    assert_eq!(page.recording, 1);
    let keys: Vec<_> = page.rows.iter().map(|row| &*row.instance_pk).collect();
    assert_eq!(keys, ["1"]);
}

/// On `PostgreSQL`: an open transaction that has recorded an instance.
#[cfg(feature = "servers")]
#[tokio::test]
async fn a_row_that_is_kept_locked_costs_only_itself() {
    let world = super::fixture::Postgres::create().await.unwrap();
    accounts(&world).await.unwrap();
    world
        .configure("cqrs_id = \"thing\"\ntable = \"thing\"\nkey = \"id\"")
        .unwrap();
    let Database::Postgres { pool, .. } = world.database() else {
        panic!("it is PostgreSQL");
    };
    let mut tx = pool.begin().await.unwrap();
    outbox::record(&mut tx, saved(17, (1, 1))).await.unwrap();
    let sync = ["sync", "-c", "thing", "--all", "--batch", "8", "--json"];
    let ended = world.relay(&sync).await.unwrap();
    let ended = ended.says("row 17: someone keeps it locked").unwrap();
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&summary["synced"], &summary["failed"]),
        (&299.into(), &1.into())
    );
    tx.commit().await.unwrap();
}

/// On `PostgreSQL`: the key's index gives the order, whatever the key is made of.
#[cfg(feature = "servers")]
#[tokio::test]
async fn pages_are_found_by_the_index() {
    let world = super::fixture::Postgres::create().await.unwrap();
    let Database::Postgres { pool, .. } = world.database() else {
        panic!("it is PostgreSQL");
    };
    world
        .run(
            "create table pair (a text, b uuid default gen_random_uuid(), name text, primary key (a, b));
             insert into pair (a, name) select 'k' || (i % 100), repeat('x', 50)
                 from generate_series(1, 20000) as g (i);
             create table word (id text not null collate \"und-x-icu\", name text);
             create unique index on word (id collate \"C\");
             insert into word select case i % 2 when 0 then 'a' else 'B' end || i, 'n'
                 from generate_series(1, 20000) as g (i);
             analyze pair; analyze word",
        )
        .await
        .unwrap();
    let store = world.store();
    for (name, key) in [("pair", &["a", "b"][..]), ("word", &["id"][..])] {
        let table = store.table(model(name, key)).await.unwrap();
        let mut snapshot = store.snapshot(&table, Scan::with_content()).await.unwrap();
        let mut seen = HashSet::new();
        while let Some(page) = snapshot.next(1_000).await.unwrap() {
            seen.extend(page.rows.into_iter().map(|row| row.instance_pk));
        }
        snapshot.close().await;
        assert_eq!(seen.len(), 20_000, "{name}");
        // A session tells what it has scanned when it ends.
        until(
            "the scans are counted",
            Duration::from_secs(30),
            async || {
                let read: i64 = sqlx::query_scalar(
                    "select coalesce(sum(idx_tup_read), 0)::bigint
                 from pg_stat_user_indexes where relname = $1",
                )
                .bind(name)
                .fetch_one(pool)
                .await?;
                // Each row once; a sort of the table for each page would be ten times as many.
                assert!(read < 50_000, "{name}: {read}");
                Ok(if read >= 20_000 {
                    Seen::Yes
                } else {
                    Seen::NotYet(read.to_string())
                })
            },
        )
        .await
        .unwrap();
    }
}

/// On `SQLite`: a text in a key does not say whether it was a blob.
#[tokio::test]
async fn keys_that_are_stored_in_two_ways_are_refused() {
    let world = super::fixture::Sqlite::create().await.unwrap();
    world
        .run(
            "create table thing (id blob primary key, name text);
             insert into thing values ('one', 'a'), (x'00112233445566778899aabbccddeeff', 'b')",
        )
        .await
        .unwrap();
    let store = world.store();
    let table = store.table(model("thing", &["id"])).await.unwrap();
    let error = store.snapshot(&table, Scan::new()).await.unwrap_err();
    assert!(error.to_string().contains("blob in some rows"), "{error}");
}
