//! Every committed row is found exactly once, whatever the writers do.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cqrs_core::Slot;
use cqrs_outbox::{OutboxSession, RowRef, Settlement};
use sqlx::{Executor, PgPool};
use tokio::task::JoinSet;

use super::Database;
use crate::store::fixture::{Fixture, Series, all_slots, row};

const WRITERS: u64 = 10;
const TRANSACTIONS: u64 = 120;

/// Two relays with half the slots each, one of which settles what it finds at once; writers with
/// random delays before and between rows and before the end, savepoints, rollbacks and a few large
/// transactions; beside them a transaction that has written before all and ends last.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_committed_row_is_found_exactly_once() {
    let fixture = Database::new().await;
    let mut held = fixture.begin().await;
    let oldest = Database::insert(&mut held, &row(0, "oldest")).await;

    let mut writers = JoinSet::new();
    for seed in 0..WRITERS {
        let pool = fixture.pool.clone();
        writers.spawn(async move { write(&pool, seed).await });
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut relays = JoinSet::new();
    for (part, limit) in [(0, 3), (1, 50)] {
        let session = fixture.session().await;
        let done = Arc::clone(&done);
        relays.spawn(async move { relay(session, part, limit, &done).await });
    }

    let mut committed = BTreeSet::from([oldest.id]);
    while let Some(written) = writers.join_next().await {
        committed.extend(written.unwrap());
    }
    Database::commit(held).await;
    done.store(true, Ordering::SeqCst);

    let mut found = BTreeSet::new();
    let mut fetches = 0;
    while let Some(relay) = relays.join_next().await {
        let (theirs, calls) = relay.unwrap();
        fetches += calls;
        for id in theirs {
            assert!(found.insert(id), "two relays found row {id}");
        }
    }
    assert_eq!(found, committed, "found and committed differ");
    tracing::info!(rows = committed.len(), fetches, "all found once");
}

async fn write(pool: &PgPool, seed: u64) -> Vec<i64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut committed = Vec::new();
    for turn in 0..TRANSACTIONS {
        let mut tx = pool.begin().await.unwrap();
        let mut rows = Vec::new();
        let number = if turn % 50 == 49 {
            300
        } else {
            random.u16(1..4)
        };
        for _ in 0..number {
            if random.u8(..4) == 0 {
                pause(&mut random).await;
            }
            let savepoint = random.u8(..6) == 0;
            if savepoint {
                (&mut *tx).execute("savepoint part").await.unwrap();
            }
            let slot = random.u16(..64);
            let added = Database::insert(&mut tx, &row(slot, &format!("{seed}/{turn}"))).await;
            if savepoint && random.bool() {
                (&mut *tx)
                    .execute("rollback to savepoint part")
                    .await
                    .unwrap();
            } else {
                rows.push(added.id);
            }
        }
        pause(&mut random).await;
        if random.u8(..5) == 0 {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.extend(rows);
        }
    }
    committed
}

async fn pause(random: &mut fastrand::Rng) {
    tokio::time::sleep(Duration::from_micros(random.u64(..6_000))).await;
}

async fn relay<S: OutboxSession>(
    mut session: S,
    part: u16,
    limit: usize,
    done: &AtomicBool,
) -> (BTreeSet<i64>, u64) {
    let slots: Vec<Slot> = all_slots()
        .into_iter()
        .filter(|slot| slot.number() % 2 == part)
        .collect();
    let mut series = Series::default();
    let mut calls = 0;
    loop {
        // What is committed before this look is there for the calls after it.
        let last = done.load(Ordering::SeqCst);
        loop {
            let fetched = session
                .fetch(&slots, &series.position, limit)
                .await
                .unwrap();
            calls += 1;
            for row in &fetched.rows {
                assert!(series.found.insert(row.id), "row {} came twice", row.id);
            }
            series.position = fetched.position;
            if part == 1 {
                let confirmed = fetched.rows.iter().map(|row| RowRef {
                    id: row.id,
                    message_id: row.message_id,
                });
                let settlement = Settlement {
                    confirmed: confirmed.collect(),
                    ..Settlement::default()
                };
                session.settle(&settlement, &[]).await.unwrap();
            }
            if !fetched.more {
                break;
            }
        }
        if last {
            return (series.found, calls);
        }
    }
}

/// With a snapshot held open for long, what was settled stays in the indexes; a fetch must not care.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_snapshot_does_not_slow_a_running_series() {
    let fixture = Database::new().await;
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let mut held = fixture.begin().await;
    (&mut *held)
        .execute("set transaction isolation level repeatable read")
        .await
        .unwrap();
    (&mut *held)
        .execute("select count(*) from cqrs_outbox")
        .await
        .unwrap();

    let timed = async |session: &mut _, series: &mut Series| {
        let mut slowest = Duration::ZERO;
        for turn in 0..20 {
            let added = fixture.add(&[row(1, &turn.to_string())]).await;
            let started = Instant::now();
            assert_eq!(
                series.drain(session, &all_slots(), 500).await,
                [added[0].id]
            );
            slowest = slowest.max(started.elapsed());
        }
        slowest
    };
    let before = timed(&mut session, &mut series).await;
    let fill = "insert into cqrs_outbox
            (message_id, slot, cqrs_id, instance_pk, signal, revision, body)
        select gen_random_uuid(), n % 64, 'account', n::text, 'SAVE', 0, '{}'
        from generate_series(1, 200000) as n";
    fixture.execute(fill).await;
    let drained = series.drain(&mut session, &all_slots(), 500).await;
    assert_eq!(drained.len(), 200_000);
    fixture.execute("delete from cqrs_outbox").await;
    let after = timed(&mut session, &mut series).await;
    // A scan over the dead rows takes a hundred times as long.
    assert!(
        after < before.max(Duration::from_millis(5)) * 8,
        "{before:?}, then {after:?}"
    );
    Database::rollback(held).await;
}
