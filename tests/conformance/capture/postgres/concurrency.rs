//! Writers at the same time.

use cqrs_outbox::{Change, Signal, begin, record_all};
use serde_json::json;
use sqlx::Executor;

use super::bed::Bed;
use crate::fixture::{Fixture, account};

/// One session's sets are captured, the other's recorded in the opposite order, by Rust and by SQL: both
/// take the locks of revisions in the order of keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_sets_in_opposite_orders_do_not_deadlock() {
    let bed = Bed::new().await;
    bed.install(&account()).await;
    bed.script("insert into account select g, 'a', null, true from generate_series(1, 200) as g")
        .await;
    let captured = async {
        for _ in 0..25 {
            bed.pool
                .execute("update account set name = name || 'x'")
                .await
                .unwrap();
        }
    };
    let recorded = async {
        for _ in 0..25 {
            let mut tx = begin(&bed.pool).await.unwrap();
            let change = |id: i64| Change::json("account", id, Signal::Sync, json!({"id": id}));
            record_all(&mut tx, (1..=200).rev().map(change))
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
    };
    let in_sql = async {
        for _ in 0..25 {
            bed.pool
                .execute(
                    "select cqrs_record_new('account', array_agg(id::text order by id desc), array_agg(id::text order by id desc),
                         array_agg('SAVE'::text), array_agg('{}'::text), array_agg(null::text),
                         null, false, null, null, null, null, null)
                     from generate_series(1, 200) as id",
                )
                .await
                .unwrap();
        }
    };
    tokio::join!(captured, recorded, in_sql);
    let revisions = "select min(revision) from cqrs_revision";
    assert_eq!(bed.number(revisions).await, 50);
    // In the order of the ids, each instance's revisions have no step back.
    let steps_back = "select count(*) from (
        select revision - lag(revision) over (partition by instance_pk order by id) as step from cqrs_outbox
    ) as s where step < 0";
    assert_eq!(bed.number(steps_back).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_one_row_get_consecutive_revisions() {
    let bed = Bed::new().await;
    bed.install(&account()).await;
    bed.script("insert into account values (1, '', null, true)")
        .await;
    let write = async || {
        for _ in 0..20 {
            bed.pool
                .execute("update account set name = name || 'x'")
                .await
                .unwrap();
        }
    };
    tokio::join!(write(), write());
    let lines = bed.take().await;
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line.short(), format!("SAVE 1 {at}"));
        let name = line.json()["instance_data"]["name"].as_str().unwrap().len();
        assert_eq!(name, at);
    }
    assert_eq!(lines.len(), 41);
}
