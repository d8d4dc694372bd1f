use std::sync::Arc;

use cqrs_outbox::{
    Change, InstanceKey, RecordError, Recorded, Signal, record_current, record_current_all,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::fixture::{Account, Fixture, revision};

async fn read<F: Fixture>(tx: &mut F::Tx, id: i64) -> Change {
    match F::text(tx, &format!("select name from account where id = {id}")).await {
        Some(name) => Change::saved(&Account::named(id, &name)),
        None => Change::deleted(&Account::new(id)),
    }
}

/// Writers append to a text in place and none of them knows the outcome. The last event must carry
/// all of it, and no event less than the one before.
pub(crate) async fn the_current_state_is_read_under_the_lock<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    F::execute(&mut tx, "insert into account (id, name) values (1, '')").await;
    F::commit(tx).await;
    let db = Arc::new(db);
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let db = Arc::clone(&db);
        writers.spawn(async move {
            for _ in 0..10 {
                let mut tx = db.begin().await;
                F::execute(
                    &mut tx,
                    "update account set name = name || 'x' where id = 1",
                )
                .await;
                record_current(&mut tx, "account", 1, async |tx: &mut F::Tx| {
                    Ok::<_, sqlx::Error>(read::<F>(tx, 1).await)
                })
                .await
                .unwrap();
                F::commit(tx).await;
            }
        });
    }
    writers.join_all().await;
    let lengths: Vec<_> = db
        .outbox()
        .await
        .iter()
        .map(|line| line.json()["instance_data"]["name"].as_str().unwrap().len())
        .collect();
    assert_eq!(lengths, (1..=40).collect::<Vec<_>>());
}

pub(crate) async fn a_first_record_of_the_current_state_is_revision_0<F: Fixture>(db: F) {
    for expected in 0..3 {
        let mut tx = db.begin().await;
        let recorded = record_current(&mut tx, "account", 1, async |_: &mut F::Tx| {
            Ok::<_, sqlx::Error>(Change::saved(&Account::new(1)))
        })
        .await
        .unwrap();
        F::commit(tx).await;
        assert_eq!(revision(recorded), expected);
    }
    // A first record can also be a delete; and a delete of what was deleted goes on counting.
    for expected in 0..2 {
        let mut tx = db.begin().await;
        let recorded = record_current(&mut tx, "account", 2, async |tx: &mut F::Tx| {
            Ok::<_, sqlx::Error>(read::<F>(tx, 2).await)
        });
        assert_eq!(revision(recorded.await.unwrap()), expected);
        F::commit(tx).await;
        assert_eq!(db.revision("2").await, Some((expected, true)));
    }
}

pub(crate) async fn a_failed_read_uses_up_no_revision<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let failed = record_current(&mut tx, "account", 1, async |_: &mut F::Tx| {
        Err::<Change, _>(std::io::Error::other("no such thing"))
    });
    assert!(matches!(failed.await, Err(RecordError::Read(_))));
    let filtered = record_current(&mut tx, "account", 1, async |_: &mut F::Tx| {
        Ok::<_, sqlx::Error>(Change::saved(&Account::hidden(1)))
    });
    assert_eq!(filtered.await.unwrap(), Recorded::Filtered);
    F::commit(tx).await;
    assert_eq!(db.revision("1").await, F::UNSENT);

    let mut tx = db.begin().await;
    let lost = record_current(&mut tx, "account", 1, async |_: &mut F::Tx| {
        Err::<Change, _>(sqlx::Error::WorkerCrashed)
    });
    let error = lost.await.unwrap_err();
    assert!(
        error.is_transient(),
        "what sqlx says is judged like our own failures: {error:?}"
    );
    F::rollback(tx).await;
}

/// Orders travel with their lines, and one query loads them all. Of an order that is not there, here by the
/// caller's choice, nothing is recorded.
pub(crate) async fn rows_with_related_ones_are_read_in_one_query_under_their_locks<F: Fixture>(
    db: F,
) {
    const ORDERS: &str =
        "select cast(json_group_array(json_object('id', id, 'lines', json(lines))) as text)
        from (select o.id as id, json_group_array(l.item) as lines from orders as o
              join order_line as l on l.order_id = o.id group by o.id) as loaded";
    let mut tx = db.begin().await;
    for statement in [
        "create table orders (id integer primary key)",
        "create table order_line (order_id integer, item text)",
        "insert into orders values (1), (3), (10)",
        "insert into order_line values (1, 'a'), (3, 'b'), (3, 'c'), (10, 'd')",
    ] {
        F::execute(&mut tx, statement).await;
    }
    F::commit(tx).await;
    for expected in 0..2 {
        let mut tx = db.begin().await;
        let keys = [10_i64, 1, 2, 3, 1].map(InstanceKey::from).to_vec();
        let mut queries = 0;
        let recorded = record_current_all(&mut tx, "order", keys, async |tx: &mut F::Tx, keys| {
            queries += 1;
            assert_eq!(keys.len(), 5);
            let orders = F::text(tx, &F::portable(ORDERS)).await.unwrap();
            let orders: Vec<serde_json::Value> = serde_json::from_str(&orders).unwrap();
            let change = |order: serde_json::Value| {
                Change::json("order", order["id"].as_i64().unwrap(), Signal::Save, order)
            };
            Ok::<_, sqlx::Error>(orders.into_iter().map(change).collect())
        });
        let recorded = recorded.await.unwrap();
        assert_eq!((queries, recorded.len()), (1, 3));
        assert!(recorded.iter().all(|r| revision(*r) == expected));
        F::commit(tx).await;
    }
    let lines = db.outbox().await;
    assert_eq!(lines.len(), 6);
    let third = lines.iter().find(|line| line.instance_pk == "3").unwrap();
    assert_eq!(third.json()["instance_data"]["lines"], json!(["b", "c"]));
    assert!(lines.iter().all(|line| line.instance_pk != "2"));
}

pub(crate) async fn the_state_of_another_instance_is_refused<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    for change in [
        || Change::saved(&Account::new(2)),
        || Change::json("order", 1, Signal::Save, json!({})),
    ] {
        let error = record_current(&mut tx, "account", 1, async move |_: &mut F::Tx| {
            Ok::<_, sqlx::Error>(change())
        });
        assert!(matches!(error.await, Err(RecordError::Invalid { .. })));
    }
    F::commit(tx).await;
    assert!(db.outbox().await.is_empty());
    assert_eq!(db.revision("1").await, None);
}
