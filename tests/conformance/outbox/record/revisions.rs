use cqrs_outbox::{Change, Recorded, record};

use super::fixture::{Account, Fixture, revision};

pub(crate) async fn the_first_revision_is_0_and_none_is_left_out<F: Fixture>(db: F) {
    for expected in 0..30 {
        let recorded = db.record(Change::saved(&Account::new(1))).await;
        assert_eq!(revision(recorded), expected);
    }
    let lines = db.outbox().await;
    let revisions: Vec<_> = lines.iter().map(|line| line.revision).collect();
    assert_eq!(revisions, (0..30).collect::<Vec<_>>());
    for line in lines {
        assert_eq!(
            line.event().revision.0,
            line.revision,
            "body and column agree"
        );
    }
}

pub(crate) async fn an_instance_that_comes_back_goes_on_counting<F: Fixture>(db: F) {
    let account = Account::new(1);
    assert_eq!(revision(db.record(Change::saved(&account)).await), 0);
    assert_eq!(revision(db.record(Change::deleted(&account)).await), 1);
    assert_eq!(db.revision("1").await, Some((1, true)));
    assert_eq!(revision(db.record(Change::saved(&account)).await), 2);
    assert_eq!(db.revision("1").await, Some((2, false)));
}

pub(crate) async fn instances_count_by_themselves<F: Fixture>(db: F) {
    db.record(Change::saved(&Account::new(1))).await;
    assert_eq!(
        revision(db.record(Change::saved(&Account::new(2))).await),
        0
    );
    let other = Change::json("order", 1, cqrs_outbox::Signal::Save, serde_json::json!({}));
    assert_eq!(revision(db.record(other).await), 0);
    assert_eq!(
        revision(db.record(Change::deleted(&Account::new(3))).await),
        0
    );
}

pub(crate) async fn a_rollback_leaves_nothing<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    F::execute(&mut tx, "insert into account (id, name) values (1, 'a')").await;
    record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap();
    F::rollback(tx).await;
    assert!(db.outbox().await.is_empty());
    assert_eq!(db.revision("1").await, None);
    assert_eq!(
        revision(db.record(Change::saved(&Account::new(1))).await),
        0
    );
}

pub(crate) async fn a_rolled_back_savepoint_leaves_nothing<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    assert_eq!(
        revision(
            record(&mut tx, Change::saved(&Account::new(1)))
                .await
                .unwrap()
        ),
        0
    );
    F::execute(&mut tx, "savepoint users_own").await;
    record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap();
    record(&mut tx, Change::saved(&Account::new(2)))
        .await
        .unwrap();
    F::execute(&mut tx, "rollback to savepoint users_own").await;
    F::commit(tx).await;
    assert_eq!(
        revision(db.record(Change::saved(&Account::new(1))).await),
        1
    );
    let lines = db.outbox().await;
    assert_eq!(
        lines.iter().map(|line| line.revision).collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(db.revision("2").await, None);
}

pub(crate) async fn the_time_rises_with_the_revision_whatever_the_clock_does<F: Fixture>(db: F) {
    for _ in 0..5 {
        db.record(Change::saved(&Account::new(1))).await;
    }
    // The last change seems to lie in the future: the clock was set back since.
    db.set_updated("1", 4_102_444_800_123_456).await;
    for _ in 0..5 {
        db.record(Change::saved(&Account::new(1))).await;
    }
    let times: Vec<_> = db
        .outbox()
        .await
        .iter()
        .map(|line| line.event().updated)
        .collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(times[5].timestamp_micros(), 4_102_444_800_123_457);
    assert_eq!(times[9].timestamp_micros(), 4_102_444_800_123_461);
}

pub(crate) async fn a_sync_carries_the_revision<F: Fixture>(db: F) {
    let account = Account::new(1);
    assert_eq!(
        revision(db.record(Change::synced(&account)).await),
        0,
        "never recorded before"
    );
    assert_eq!(revision(db.record(Change::synced(&account)).await), 0);
    assert_eq!(revision(db.record(Change::saved(&account)).await), 1);
    assert_eq!(revision(db.record(Change::synced(&account)).await), 1);
    let lines = db.outbox().await;
    let updated = |index: usize| lines[index].event().updated;
    assert_eq!(updated(0), updated(1));
    assert_eq!(
        updated(2),
        updated(3),
        "the time of the state, not of the sync"
    );
    assert_eq!(lines[3].signal, "SYNC");
}

pub(crate) async fn a_sync_of_a_deleted_instance_brings_it_back<F: Fixture>(db: F) {
    let account = Account::new(1);
    db.record(Change::saved(&account)).await;
    db.record(Change::deleted(&account)).await;
    assert_eq!(revision(db.record(Change::synced(&account)).await), 2);
    assert_eq!(db.revision("1").await, Some((2, false)));
}

pub(crate) async fn a_direct_sync_names_its_queue<F: Fixture>(db: F) {
    let account = Account::new(1);
    db.record(Change::saved(&account)).await;
    let recorded = db.record(Change::synced(&account).to_queue("audit")).await;
    assert_eq!(revision(recorded), 0);
    let lines = db.outbox().await;
    assert_eq!(lines[1].queue.as_deref(), Some("audit"));
    assert_eq!(lines[1].signal, "SYNC");
    assert!(
        !String::from_utf8_lossy(&lines[1].body).contains("audit"),
        "not in the body"
    );
}

/// A dump may have taken it to a replica before anything was recorded of it.
pub(crate) async fn what_was_published_and_leaves_the_filter_is_deleted_recorded_or_not<
    F: Fixture,
>(
    db: F,
) {
    let (shown, hidden) = (Account::new(1), Account::hidden(1));
    assert_eq!(
        revision(db.record(Change::updated(&shown, &hidden)).await),
        0
    );
    let lines = db.outbox().await;
    assert_eq!((lines.len(), lines[0].signal.as_str()), (1, "DELETE"));
    assert_eq!(db.revision("1").await, Some((0, true)));
    // What was not, is nothing.
    let other = Account::hidden(2);
    assert_eq!(
        db.record(Change::updated(&other, &other)).await,
        Recorded::Filtered
    );
    let first = db.record(Change::saved(&Account::new(2))).await;
    assert_eq!(revision(first), 0, "no revision is used up");
}

pub(crate) async fn what_is_filtered_out_is_deleted_once_and_then_nothing<F: Fixture>(db: F) {
    let hidden = Account::hidden(1);
    assert_eq!(db.record(Change::saved(&hidden)).await, Recorded::Filtered);
    assert_eq!(
        db.record(Change::deleted(&hidden)).await,
        Recorded::Filtered
    );
    assert_eq!(db.revision("1").await, F::UNSENT, "no revision is used up");

    db.record(Change::saved(&Account::new(1))).await;
    assert_eq!(revision(db.record(Change::saved(&hidden)).await), 1);
    assert_eq!(db.revision("1").await, Some((1, true)));
    for change in [
        Change::saved(&hidden),
        Change::synced(&hidden),
        Change::deleted(&hidden),
    ] {
        assert_eq!(db.record(change).await, Recorded::Filtered);
    }
    let lines = db.outbox().await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].signal, "DELETE");
    assert_eq!(
        lines[1].json()["instance_data"]["custom"],
        serde_json::json!({"hidden": 1})
    );

    // Shown again, it goes on counting.
    assert_eq!(
        revision(db.record(Change::saved(&Account::new(1))).await),
        2
    );
}
