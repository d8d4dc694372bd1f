//! Any order and any duplicates converge to the last state.

use cqrs_replica::{Applied, Incoming, ReplicaSession, ReplicaStore, SkipReason, TableModel};

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::{Message, account, gone},
};

const ACCOUNTS: &str = "select cast(id as text), name from account order by id";

const STATES: &str = "select instance_pk, cast(revision as text), cast(updated as text),
    cast(deleted_at as text), cast(sync_id as text), cast(applied_at as text)
    from cqrs_replica_state order by instance_pk";

pub(super) async fn a_deleted_instance_stays_deleted<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.apply(&[account(1, 0, "a"), gone(1, 2)]).await;
    let late = replica.one(&account(1, 1, "late")).await;
    assert_eq!(late, Applied::Skipped(SkipReason::Deleted));
    let again = replica.one(&gone(1, 2)).await;
    assert_eq!(again, Applied::Skipped(SkipReason::Duplicate));
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &[]);
}

pub(super) async fn a_deleted_instance_can_be_created_again<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.apply(&[account(1, 0, "a"), gone(1, 1)]).await;
    assert_eq!(replica.one(&account(1, 2, "new")).await, APPLIED);
    // The delete of its first life comes late.
    let late = replica.one(&gone(1, 1)).await;
    assert_eq!(late, Applied::Skipped(SkipReason::Stale));
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|new"]);
}

pub(super) async fn a_delete_before_the_create_wins<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    assert_eq!(replica.one(&gone(1, 1)).await, APPLIED);
    let late = replica.one(&account(1, 0, "a")).await;
    assert_eq!(late, Applied::Skipped(SkipReason::Deleted));
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &[]);
}

pub(super) async fn a_redelivery_changes_nothing<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let batch = [
        account(1, 0, "a").id(1),
        account(2, 3, "b").id(2),
        gone(3, 1).id(3),
    ];
    replica.apply(&batch).await;
    let before = (replica.rows(ACCOUNTS).await, replica.rows(STATES).await);
    let answers = replica.apply(&batch).await;
    assert!(
        answers
            .iter()
            .all(|a| *a == Applied::Skipped(SkipReason::Duplicate)),
        "{answers:?}"
    );
    assert_eq!(
        (replica.rows(ACCOUNTS).await, replica.rows(STATES).await),
        before
    );
    assert!(replica.letters().await.is_empty());
}

/// Histories of several instances, shuffled, with duplicates, in batches of any size.
pub(super) async fn shuffled_histories_converge<F: Fixture>() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut messages, expected) = histories(&mut random);
        let again: Vec<Message> = messages
            .iter()
            .filter(|_| random.u8(0..3) == 0)
            .cloned()
            .collect();
        messages.extend(again);
        random.shuffle(&mut messages);
        let mut replica = Replica::<F>::accounts().await;
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(random.usize(1..=rest.len().min(40)));
            replica.apply(batch).await;
            rest = later;
        }
        assert_eq!(replica.rows(ACCOUNTS).await, expected, "seed {seed}");
    }
}

fn histories(random: &mut fastrand::Rng) -> (Vec<Message>, Vec<String>) {
    let mut messages = Vec::new();
    let mut expected = Vec::new();
    for key in 1..8 {
        let mut live = false;
        let last = random.i64(1..8);
        for revision in 0..last {
            live = !live || random.u8(0..3) > 0;
            messages.push(if live {
                account(key, revision, &format!("r{revision}"))
            } else {
                gone(key, revision)
            });
        }
        if live {
            expected.push(format!("{key}|r{}", last - 1));
        }
    }
    (messages, expected)
}

/// Many sessions with the same instances in opposite order neither deadlock nor apply twice.
pub(super) async fn sessions_on_the_same_instances_get_along<F: Fixture>() {
    const KEYS: i64 = 40;
    let replica = Replica::<F>::new(
        &[
            ACCOUNT,
            "create table total (id integer primary key, n integer not null) {strict}",
        ],
        [table("account", TableModel::new("account", "id"))],
    )
    .await;
    let worker = |backwards: bool| {
        let (models, policy) = (replica.models.clone(), replica.policy.clone());
        let store = replica.fixture.store();
        async move {
            let mut session = store.session().await.unwrap();
            let mut applied = 0;
            for revision in 0..5 {
                let mut batch: Vec<Incoming> = (0..KEYS)
                    .map(|key| account(key, revision, "x").incoming())
                    .collect();
                if backwards {
                    batch.reverse();
                }
                let answers = session.apply(&models, &policy, &batch).await.unwrap();
                applied += answers.iter().filter(|answer| **answer == APPLIED).count();
            }
            applied
        }
    };
    let (a, b, c) = tokio::join!(worker(false), worker(true), worker(false));
    // Each revision took effect in one session at most, and the last one in exactly one.
    let total = i64::try_from(a + b + c).unwrap();
    assert!((KEYS..=KEYS * 5).contains(&total), "{total}");
    let rows = replica
        .rows("select cast(count(*) as text), cast(sum(qty) as text) from account")
        .await;
    assert_eq_rows(&rows, &["40|160"]);
}

pub(super) async fn django_may_restart_at_zero<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let first = |key, revision, name, at| account(key, revision, name).django().at(at);
    replica.one(&first(1, 7, "a", 100)).await;
    // Deleted with a revision too low, created again from 0.
    assert_eq!(replica.one(&gone(1, 1).django().at(200)).await, APPLIED);
    let late = replica.one(&first(1, 8, "late", 150)).await;
    assert_eq!(late, Applied::Skipped(SkipReason::Deleted));
    assert_eq!(replica.one(&first(1, 0, "b", 300)).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|b"]);
    // The delete of the first life once more.
    let late = replica.one(&gone(1, 1).django().at(200)).await;
    assert_eq!(late, Applied::Skipped(SkipReason::Stale));
    // A restart whose delete never came.
    replica.one(&first(2, 5, "a", 100)).await;
    assert_eq!(replica.one(&first(2, 0, "b", 103)).await, APPLIED);
    assert_eq!(
        replica.one(&first(2, 0, "c", 103)).await,
        Applied::Skipped(SkipReason::Duplicate)
    );
    // Equal revisions: the newer one.
    assert_eq!(replica.one(&first(2, 0, "d", 104)).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|b", "2|d"]);
}

/// Its worker was killed before it could acknowledge it.
pub(super) async fn a_late_save_of_an_earlier_life_changes_nothing<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let save = |revision, name, at| account(1, revision, name).django().at(at);
    replica.one(&save(4, "a", 100)).await;
    assert_eq!(replica.one(&save(5, "b", 200)).await, APPLIED);
    assert_eq!(replica.one(&gone(1, 1).django().at(250)).await, APPLIED);
    assert_eq!(replica.one(&save(0, "new", 300)).await, APPLIED);
    let stale = Applied::Skipped(SkipReason::Stale);
    assert_eq!(replica.one(&save(5, "b", 200)).await, stale);
    assert_eq!(replica.one(&save(1, "newer", 301)).await, APPLIED);
    assert_eq!(replica.one(&save(5, "b", 200)).await, stale);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|newer"]);
}

pub(super) async fn a_master_may_begin_to_count<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 3, "django").django().at(100)).await;
    assert_eq!(replica.one(&account(1, 4, "counted").at(50)).await, APPLIED);
    // From now on time says nothing.
    let stale = replica.one(&account(1, 0, "old").at(500)).await;
    assert_eq!(stale, Applied::Skipped(SkipReason::Stale));
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|counted"]);
}
