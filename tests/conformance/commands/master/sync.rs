//! Syncs: which rows, to whom, how many at a time.

use std::time::Duration;

use anyhow::Result;
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    wait::{Seen, until},
};
use rustix::process::{Pid, Signal as Kill, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::fixture::{Ended, World};

const MODEL: &str = "cqrs_id = \"thing\"\ntable = \"thing\"\nkey = \"code\"\nttl = \"1h\"\n\
                     filter = '{\"open\": true}'";

async fn things<W: World>(world: &W) -> Result<()> {
    world.configure(MODEL)?;
    world
        .run(
            "create table thing (code bigint primary key, name text, open boolean);
             with recursive g (i) as (select 1 union all select i + 1 from g where i < 2000)
             insert into thing select i, 'n' || i, i % 100 <> 0 from g",
        )
        .await
}

async fn count<W: World>(world: &W, sql: &'static str) -> Result<i64> {
    Ok(match world.database() {
        Database::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await?,
        Database::Sqlite { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await?,
    })
}

pub(crate) async fn rows_are_named_or_all_are_meant<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let ended = world.relay(&["sync", "--model", "thing"]).await?;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let filter = r#"{"code__in": [1, 2, 100, 5000]}"#;
    let sync = ["sync", "--model", "thing", "--filter", filter];
    let ended = world.relay(&sync).await?.good()?;
    assert!(ended.stdout.contains("2 instances"), "{ended:?}");
    let rows = world
        .database()
        .rows(world.choose(
            "select instance_pk, signal, revision::text, queue, (expires_at is not null)::text,
                 convert_from(body, 'UTF8') from cqrs_outbox order by id",
            "select instance_pk, signal, cast(revision as text), queue,
                 case when expires_at is null then 'false' else 'true' end, body
             from cqrs_outbox order by id",
        ))
        .await?;
    assert_eq!(rows.len(), 2);
    for (row, key) in rows.iter().zip(["1", "2"]) {
        let expected = [Some(key), Some("SYNC"), Some("0"), None, Some("true")];
        let found: Vec<_> = row[..5].iter().map(Option::as_deref).collect();
        assert_eq!(found, expected);
        let body: serde_json::Value = serde_json::from_str(row[5].as_deref().unwrap())?;
        assert_eq!(body["instance_data"]["name"], format!("n{key}"));
        assert_eq!(body["previous_data"], serde_json::Value::Null);
    }
    let all = [
        "sync", "--model", "thing", "--all", "--json", "--queue", "one",
    ];
    let ended = world.relay(&all).await?.good()?;
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(
        (&summary["synced"], &summary["failed"]),
        (&1980.into(), &0.into())
    );
    let direct = "select count(*) from cqrs_outbox where queue = 'one' and revision = 0";
    assert_eq!(count(&world, direct).await?, 1980);
    // As Django's commands have it.
    let filter = ["sync", "--cqrs-id", "thing", "-f={}"];
    world.relay(&filter).await?.good()?;
    Ok(())
}

pub(crate) async fn a_bad_filter_says_what_is_wrong<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let sync = async |filter: &str| {
        world
            .relay(&["sync", "--model", "thing", "--filter", filter])
            .await
    };
    let ended = sync("{").await?;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("JSON object"), "{ended:?}");
    let ended = sync(r#"{"name__regex": "x"}"#).await?;
    assert!(ended.stderr.contains("regex"), "{ended:?}");
    sync(r#"{"nmae": "x"}"#).await?.says("\"nmae\"")?;
    let ended = world.relay(&["sync", "--model", "thin", "--all"]).await?;
    ended.says("thing")?;
    assert_eq!(count(&world, "select count(*) from cqrs_outbox").await?, 0);
    Ok(())
}

pub(crate) async fn no_more_than_so_many_are_unsent<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let sync = [
        "sync",
        "--model",
        "thing",
        "--all",
        "--max-unsent",
        "300",
        "--batch",
        "100",
    ];
    let mut child = world.command(&sync)?.spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    // Nothing sends, so it comes to a stand and says so.
    loop {
        let line = stderr.next_line().await?.unwrap();
        if line.contains("no relay runs") {
            break;
        }
    }
    let unsent = "select count(*) from cqrs_outbox";
    assert_eq!(count(&world, unsent).await?, 300);
    // Nobody is bound to the model, so a relay alone would not do: the rows are taken away by hand.
    let mut taken = 0;
    while child.try_wait()?.is_none() {
        let there = count(&world, unsent).await?;
        assert!(there <= 300, "{there}");
        let gone = world
            .database()
            .execute(
                "delete from cqrs_outbox where id in (select id from cqrs_outbox order by id limit 50)",
            )
            .await?;
        taken += i64::try_from(gone)?;
        tokio::task::yield_now().await;
    }
    assert!(child.wait().await?.success());
    assert_eq!(taken + count(&world, unsent).await?, 1980);
    Ok(())
}

pub(crate) async fn an_interrupted_sync_goes_on_where_it_was<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let slow = [
        "sync", "--model", "thing", "--all", "--batch", "10", "--delay", "20ms", "--json",
    ];
    let child = world.command(&slow)?.spawn()?;
    let recorded = "select count(*) from cqrs_outbox";
    until("some are recorded", Duration::from_secs(30), async || {
        let rows = count(&world, recorded).await?;
        Ok(if rows >= 50 {
            Seen::Yes
        } else {
            Seen::NotYet(rows.to_string())
        })
    })
    .await?;
    let id = Pid::from_raw(i32::try_from(child.id().unwrap())?).unwrap();
    kill_process(id, Kill::TERM)?;
    let ended = Ended::of(child.wait_with_output().await?)?.says("--after '")?;
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    let so_far = count(&world, recorded).await?;
    assert_eq!(summary["synced"], so_far);
    assert!((50..1980).contains(&so_far), "{so_far}");
    let after = summary["after"].as_str().unwrap();
    let rest = ["sync", "--model", "thing", "--all", "--after", after];
    world.relay(&rest).await?.good()?;
    assert_eq!(count(&world, recorded).await?, 1980);
    let distinct = "select count(distinct instance_pk) from cqrs_outbox";
    assert_eq!(count(&world, distinct).await?, 1980);
    Ok(())
}

pub(crate) async fn a_rate_is_kept<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let began = std::time::Instant::now();
    let filter = r#"{"code__lte": 60}"#;
    let sync = [
        "sync", "--model", "thing", "--filter", filter, "--rate", "40/s",
    ];
    world.relay(&sync).await?.good()?;
    assert!(began.elapsed() >= Duration::from_secs(1));
    Ok(())
}

pub(crate) async fn a_diff_is_sent_to_the_queue_that_it_names<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let input = "thing,2026-11-21 01:09:08.752663+00:00,replica\n[1, 7000, 2]\n[100, 3]\n[]\n";
    let ended = world
        .relay_with(&["diff-sync", "--json"], input)
        .await?
        .good()?;
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(
        (&summary["synced"], &summary["gone"]),
        (&3.into(), &2.into())
    );
    assert!(
        ended.stderr.contains("not on the master: [7000]"),
        "{ended:?}"
    );
    let direct = "select count(*) from cqrs_outbox where queue = 'replica' and signal = 'SYNC'";
    assert_eq!(count(&world, direct).await?, 3);
    let every = "thing,2026-11-21 01:09:08.752663+00:00,None\n[1]\n[]\n";
    world.relay_with(&["diff-sync"], every).await?.good()?;
    let broadcast = "select count(*) from cqrs_outbox where queue is null";
    assert_eq!(count(&world, broadcast).await?, 1);
    Ok(())
}

pub(crate) async fn a_queue_that_is_not_there_is_noticed<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let _relay = world.sending()?;
    let relays = "select count(*) from cqrs_relay";
    until("the relay lives", Duration::from_secs(30), async || {
        Ok(Seen::equal(&count(&world, relays).await?, &1))
    })
    .await?;
    let sync = [
        "sync",
        "--model",
        "thing",
        "--all",
        "--queue",
        "nowhere",
        "--max-unsent",
        "100",
    ];
    let ended = world.relay(&sync).await?;
    // One row was sent to find that out, and no advice passes over it.
    assert!(!ended.stderr.contains("--after"), "{ended:?}");
    ended.says(
        "there is no queue \"nowhere\", or it takes nothing of this model: 1 row came back",
    )?;
    let dead = "select count(*) from cqrs_outbox_dead";
    assert_eq!(count(&world, dead).await?, 1);
    let waiting = "select count(*) from cqrs_outbox";
    assert_eq!(count(&world, waiting).await?, 0);
    Ok(())
}

pub(crate) async fn live_changes_and_a_sync_are_in_order<W: World>(world: W) -> Result<()> {
    things(&world).await?;
    let sync = [
        "sync",
        "--model",
        "thing",
        "--all",
        "--batch",
        "50",
        "--delay",
        "10ms",
        "--max-unsent",
        "100000",
    ];
    let mut child = world.command(&sync)?.spawn()?;
    let mut turn = 0_i64;
    while child.try_wait()?.is_none() {
        turn += 1;
        change(world.database(), turn % 20 * 99 + 1, turn).await?;
    }
    assert!(child.wait().await?.success());
    assert!(turn > 10, "{turn}");
    // By id, an instance's revisions never fall, and equal revisions carry equal states.
    let rows = world
        .database()
        .rows(world.choose(
            "select instance_pk, revision::text,
                 (convert_from(body, 'UTF8')::json -> 'instance_data' ->> 'name'), signal
             from cqrs_outbox order by id",
            "select instance_pk, cast(revision as text), body ->> '$.instance_data.name', signal
             from cqrs_outbox order by id",
        ))
        .await?;
    let mut last: std::collections::HashMap<&str, (i64, &str)> = std::collections::HashMap::new();
    let mut synced = std::collections::HashSet::new();
    for row in &rows {
        let [Some(key), Some(revision), Some(name), Some(signal)] = &row[..] else {
            panic!("{row:?}");
        };
        let revision: i64 = revision.parse()?;
        if signal == "SYNC" {
            assert!(synced.insert(key), "{key} twice");
        }
        if let Some((known, state)) = last.insert(key, (revision, name)) {
            assert!(revision >= known, "{key}: {revision} after {known}");
            assert!(
                revision > known || name == state,
                "{key}: {name} and {state}"
            );
        }
    }
    assert_eq!(synced.len(), 1980);
    Ok(())
}

/// Changes a row as an application would.
async fn change(database: &Database, key: i64, turn: i64) -> Result<()> {
    let name = format!("t{turn}");
    let data = serde_json::json!({"code": key, "name": name, "open": true});
    let change = Change::json("thing", key, Signal::Save, data);
    match database {
        Database::Postgres { pool, .. } => {
            let mut tx = pool.begin().await?;
            sqlx::query("update thing set name = $1 where code = $2")
                .bind(&name)
                .bind(key)
                .execute(&mut *tx)
                .await?;
            outbox::record(&mut tx, change).await?;
            tx.commit().await?;
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            sqlx::query("update thing set name = $1 where code = $2")
                .bind(&name)
                .bind(key)
                .execute(&mut *tx)
                .await?;
            outbox::record(&mut tx, change).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}
