use std::sync::Arc;

use cqrs_outbox::{Change, record, record_all};
use tokio::task::JoinSet;

use super::fixture::{Account, Fixture, revision};

/// Each writer changes the row and records it; on PostgreSQL the row's own lock is avoided, so that
/// only the revision's lock orders them.
pub(crate) async fn two_writers_of_one_row_get_consecutive_revisions<F: Fixture>(db: F) {
    const WRITERS: i64 = 4;
    const EACH: i64 = 25;
    let db = Arc::new(db);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let db = Arc::clone(&db);
        writers.spawn(async move {
            for change in 0..EACH {
                let mut tx = db.begin().await;
                let id = writer * EACH + change;
                let sql = format!("insert into account (id, name) values ({id}, 'x')");
                F::execute(&mut tx, &sql).await;
                let account = Account::named(1, &id.to_string());
                record(&mut tx, Change::saved(&account)).await.unwrap();
                F::commit(tx).await;
            }
        });
    }
    writers.join_all().await;
    // In id order the revisions are dense, and the time rises with them.
    let lines = db.outbox().await;
    let revisions: Vec<_> = lines.iter().map(|line| line.revision).collect();
    assert_eq!(revisions, (0..WRITERS * EACH).collect::<Vec<_>>());
    let times: Vec<_> = lines.iter().map(|line| line.event().updated).collect();
    assert!(times.is_sorted_by(|a, b| a < b));
}

pub(crate) async fn calls_in_opposite_orders_do_not_deadlock<F: Fixture>(db: F) {
    let db = Arc::new(db);
    let mut writers = JoinSet::new();
    for direction in [true, false, true, false] {
        let db = Arc::clone(&db);
        writers.spawn(async move {
            for _ in 0..15 {
                let mut keys: Vec<_> = (0..40).collect();
                if direction {
                    keys.reverse();
                }
                let change = |key: i64| match key % 3 {
                    0 => Change::synced(&Account::new(key)),
                    _ => Change::saved(&Account::new(key)),
                };
                let mut tx = db.begin().await;
                record_all(&mut tx, keys.into_iter().map(change))
                    .await
                    .unwrap();
                F::commit(tx).await;
            }
        });
    }
    writers.join_all().await;
    for key in 0..40 {
        let expected = if key % 3 == 0 { 0 } else { 59 };
        assert_eq!(
            db.revision(&key.to_string()).await,
            Some((expected, false)),
            "{key}"
        );
    }
}

/// sqlx 0.9: a `begin()` dropped while `BEGIN` is on its way leaves a pooled connection inside a
/// transaction, and the next user's statements are rolled back with it.
pub(crate) async fn a_cancelled_begin_leaves_no_transaction_behind<F: Fixture>(db: F) {
    for polls in 1..12 {
        db.cancel_begin_and_insert(polls).await;
        let mut tx = db.begin().await;
        let count = F::text(&mut tx, "select cast(count(*) as text) from account").await;
        assert_eq!(count.as_deref(), Some("1"), "cancelled after {polls} polls");
        F::execute(&mut tx, "delete from account").await;
        assert_eq!(
            revision(
                record(&mut tx, Change::saved(&Account::new(1)))
                    .await
                    .unwrap()
            ),
            0
        );
        F::rollback(tx).await;
        let mut tx = db.begin().await;
        F::execute(&mut tx, "delete from account").await;
        F::commit(tx).await;
    }
}
