//! Workers, counts, pruning.

use std::time::Duration;

use cqrs_core::QueueName;
use cqrs_replica::{
    Applied, LetterState, ReplicaSession, SkipReason, TableModel, WorkerBeat,
    reconcile::{ReconcileStore, ReplicaReader},
};
use uuid::Uuid;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, attempts, table},
    message::{Message, account, gone},
};

fn beat(worker: u128, queue: &QueueName) -> WorkerBeat {
    WorkerBeat {
        worker: Uuid::from_u128(worker),
        queue: queue.clone(),
        oldest_unacked: None,
        needs_reconcile: false,
    }
}

pub(super) async fn status_counts_what_there_is<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let queue = replica.policy.queue.clone();
    let empty = replica.session.status(&queue).await.unwrap();
    assert_eq!((empty.live, empty.tombstones, empty.dead), (0, 0, 0));
    replica
        .apply(&[
            account(1, 0, "a"),
            account(2, 0, "b"),
            gone(3, 0),
            Message::save("account", "4", 0, ""),
            Message::save("unheard", "1", 0, ""),
            Message::raw(b"x"),
        ])
        .await;
    let status = replica.session.status(&queue).await.unwrap();
    assert_eq!((status.live, status.tombstones), (2, 1));
    assert_eq!((status.waiting, status.retrying, status.dead), (1, 1, 1));
    let other = QueueName::new("other").unwrap();
    assert_eq!(replica.session.status(&other).await.unwrap().live, 0);
}

pub(super) async fn workers_show_while_they_live<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let queue = replica.policy.queue.clone();
    let session = &mut replica.session;
    session.beat(&beat(1, &queue)).await.unwrap();
    let oldest_unacked = Some(Duration::from_secs(7));
    session
        .beat(&WorkerBeat {
            oldest_unacked,
            ..beat(2, &queue)
        })
        .await
        .unwrap();
    session
        .beat(&WorkerBeat {
            oldest_unacked,
            ..beat(1, &queue)
        })
        .await
        .unwrap();
    let workers = session.status(&queue).await.unwrap().workers;
    assert_eq!(workers.len(), 2);
    for worker in &workers {
        assert!(worker.seen < Duration::from_secs(5), "{worker:?}");
        let unacked = worker.oldest_unacked.unwrap();
        assert!((7..10).contains(&unacked.as_secs()), "{worker:?}");
    }
    session.retire(Uuid::from_u128(1)).await.unwrap();
    let workers = session.status(&queue).await.unwrap().workers;
    assert_eq!(workers.len(), 1);
    assert_eq!(workers[0].worker, Uuid::from_u128(2));
}

pub(super) async fn the_need_to_reconcile_is_not_forgotten<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let queue = replica.policy.queue.clone();
    let session = &mut replica.session;
    let lost = WorkerBeat {
        needs_reconcile: true,
        ..beat(1, &queue)
    };
    session.beat(&lost).await.unwrap();
    session.beat(&beat(1, &queue)).await.unwrap();
    session.retire(Uuid::from_u128(1)).await.unwrap();
    assert!(session.status(&queue).await.unwrap().needs_reconcile);

    let mut reader = replica.fixture.store().reader().await.unwrap();
    let before = reader.losses(&queue).await.unwrap();
    session.beat(&lost).await.unwrap();
    // What is lost while all is compared has not been compared.
    assert_eq!(reader.make_good(&before).await.unwrap(), 0);
    assert!(session.status(&queue).await.unwrap().needs_reconcile);
    let now = reader.losses(&queue).await.unwrap();
    assert_eq!(reader.make_good(&now).await.unwrap(), 1);
    session.beat(&beat(1, &queue)).await.unwrap();
    assert!(!session.status(&queue).await.unwrap().needs_reconcile);
    reader.close().await;
}

pub(super) async fn tombstones_are_pruned_by_age<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let queue = replica.policy.queue.clone();
    replica
        .apply(&[account(1, 0, "a"), gone(2, 0), gone(3, 0), gone(4, 0)])
        .await;
    let day = Duration::from_hours(24);
    assert_eq!(
        replica
            .session
            .prune_tombstones(&queue, day, 10)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        replica
            .session
            .prune_tombstones(&queue, Duration::ZERO, 2)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        replica
            .session
            .prune_tombstones(&queue, Duration::ZERO, 2)
            .await
            .unwrap(),
        1
    );
    let status = replica.session.status(&queue).await.unwrap();
    assert_eq!((status.live, status.tombstones), (1, 0));
    // What is forgotten is forgotten.
    assert_eq!(replica.one(&account(2, 0, "back")).await, APPLIED);
    let known = replica.one(&account(1, 0, "a")).await;
    assert_eq!(known, Applied::Skipped(SkipReason::Duplicate));
}

/// Without the tombstone its letter would bring the row back.
pub(super) async fn a_tombstone_stays_while_a_letter_of_its_instance_may_be_retried<F: Fixture>() {
    let model = table("account", TableModel::new("account", "id")).with_retry(attempts(1));
    let mut replica = Replica::<F>::new(&[ACCOUNT], [model]).await;
    let queue = replica.policy.queue.clone();
    let without_name = Message::save("account", "1", 0, "\"qty\":1");
    let dead = Applied::Dead {
        reason: "missing_column",
    };
    assert_eq!(replica.one(&without_name).await, dead);
    replica.apply(&[gone(1, 1), gone(2, 0)]).await;
    let prune = async |replica: &mut Replica<F>| {
        let session = &mut replica.session;
        session
            .prune_tombstones(&queue, Duration::ZERO, 10)
            .await
            .unwrap()
    };
    assert_eq!(prune(&mut replica).await, 1);
    replica.session.letter_discard(&queue, None).await.unwrap();
    assert_eq!(prune(&mut replica).await, 0);
    let discarded = replica.session.letter_list(&queue, None, 1).await.unwrap();
    replica
        .session
        .letter_retry(&queue, Some(&[discarded[0].id]))
        .await
        .unwrap();
    assert_eq!(prune(&mut replica).await, 0);
    let late = Applied::Skipped(SkipReason::Deleted);
    assert_eq!(replica.due().await.applied, [late]);
    assert_eq!(prune(&mut replica).await, 1);
}

pub(super) async fn a_resolved_letter_keeps_no_body<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&Message::save("account", "1", 0, "")).await;
    replica
        .fixture
        .execute("alter table account drop column name")
        .await;
    replica.make_due().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    let letter = replica.letters().await.remove(0);
    assert_eq!(letter.state, LetterState::Resolved);
    assert!(letter.body.is_empty());
}

pub(super) async fn letters_are_pruned_by_state_and_age<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let queue = replica.policy.queue.clone();
    replica
        .apply(&[Message::raw(b"x"), Message::raw(b"y"), Message::raw(b"z")])
        .await;
    let without_name = Message::save("account", "1", 0, "");
    replica.one(&without_name).await;
    let first = replica.letters().await[0].id;
    replica
        .session
        .letter_discard(&queue, Some(&[first]))
        .await
        .unwrap();
    let hour = Duration::from_hours(1);
    for (state, older_than, limit, pruned) in [
        (LetterState::Discarded, hour, 10, 0),
        (LetterState::Resolved, Duration::ZERO, 10, 0),
        (LetterState::Discarded, Duration::ZERO, 10, 1),
        (LetterState::Dead, hour, 10, 0),
        (LetterState::Dead, Duration::ZERO, 1, 1),
        (LetterState::Dead, Duration::ZERO, 10, 1),
        // Something is still to happen to it.
        (LetterState::Retrying, Duration::ZERO, 10, 0),
    ] {
        let session = &mut replica.session;
        let found = session.prune_letters(&queue, state, older_than, limit);
        assert_eq!(found.await.unwrap(), pruned, "{state:?} {older_than:?}");
    }
    assert_eq!(replica.letters().await.len(), 1);
}
