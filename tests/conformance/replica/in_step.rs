//! In-step handlers see every revision, once, in order.

use std::time::Duration;

use cqrs_replica::{
    Applied, Incoming, LetterState, Models, ReplicaSession, SkipReason, TableModel, WaitReason,
    WorkerBeat,
};
use uuid::Uuid;

use super::{
    fixture::{APPLIED, Fixture, Replica, assert_eq_rows, attempts, table},
    message::{Message, account, gone},
    recorder::{SEEN, Script, Step, recorded},
};

const WAITS: Applied = Applied::Waiting(WaitReason::Gap);

pub(super) async fn a_revision_waits_for_the_one_before_it<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    assert_eq!(replica.one(&account(1, 2, "c")).await, WAITS);
    assert_eq!(replica.one(&account(1, 1, "b")).await, WAITS);
    // Not twice.
    assert_eq!(replica.one(&account(1, 2, "c")).await, WAITS);
    assert_eq_rows(&replica.seen().await, &[]);
    assert_eq!(replica.letters().await.len(), 2);
    // The first brings the others along.
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "1|SAVE|1", "1|SAVE|2"]);
    // Waits that ended well leave nothing.
    assert!(replica.letters().await.is_empty());
    let duplicate = Applied::Skipped(SkipReason::Duplicate);
    assert_eq!(replica.one(&account(1, 2, "c")).await, duplicate);
}

pub(super) async fn a_batch_in_the_wrong_order_needs_no_letter<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    let batch = [
        gone(1, 3),
        account(1, 1, "b"),
        account(1, 0, "a"),
        account(1, 2, "c"),
    ];
    assert_eq!(
        replica.apply(&batch).await,
        [APPLIED, APPLIED, APPLIED, APPLIED]
    );
    assert_eq_rows(
        &replica.seen().await,
        &["1|SAVE|0", "1|SAVE|1", "1|SAVE|2", "1|DELETE|3"],
    );
}

/// Revisions of a Django master say little about order: a delete may carry one too low, and a second
/// life begins at 0.
pub(super) async fn a_second_life_in_one_batch_keeps_its_place<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    let save = |revision, at| account(1, revision, "x").django().at(at);
    replica.apply(&[save(0, 100), save(1, 101)]).await;
    let batch = [
        save(2, 102),
        save(3, 103),
        gone(1, 2).django().at(104),
        save(0, 105),
        save(1, 106),
    ];
    let answers = replica.apply(&batch).await;
    assert!(
        answers.iter().all(|answer| *answer == APPLIED),
        "{answers:?}"
    );
    assert_eq_rows(
        &replica.seen().await[2..],
        &["1|SAVE|2", "1|SAVE|3", "1|DELETE|2", "1|SAVE|0", "1|SAVE|1"],
    );
}

pub(super) async fn a_long_row_of_waits_is_taken_up<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    let later: Vec<Message> = (1..200).map(|revision| account(1, revision, "x")).collect();
    assert!(
        replica
            .apply(&later)
            .await
            .iter()
            .all(|answer| *answer == WAITS)
    );
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    // Transaction by transaction, each of which makes the next one's letters due.
    let mut seen = replica.seen().await;
    assert_eq!(seen.len(), 65);
    while seen.len() < 200 {
        replica.due().await;
        let more = replica.seen().await;
        assert!((1..=65).contains(&(more.len() - seen.len())), "{more:?}");
        seen = more;
    }
    let expected: Vec<String> = (0..200)
        .map(|revision| format!("1|SAVE|{revision}"))
        .collect();
    assert_eq!(seen, expected);
    assert!(replica.letters().await.is_empty());
}

pub(super) async fn a_wait_ends<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    replica.policy.gap_wait = Duration::from_millis(50);
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(replica.one(&account(1, 3, "d")).await, WAITS);
    assert_eq!(replica.one(&account(1, 4, "e")).await, WAITS);
    replica.make_due().await;
    let due = replica.due().await;
    assert_eq!(
        due.applied,
        [
            Applied::Applied {
                gap: 2,
                expired: false
            },
            APPLIED
        ]
    );
    assert_eq!(due.next, None);
    // What comes after all has been passed over.
    assert_eq!(
        replica.one(&account(1, 1, "b")).await,
        Applied::Skipped(SkipReason::Stale)
    );
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "1|SAVE|3", "1|SAVE|4"]);
}

pub(super) async fn a_wait_does_not_end_while_a_worker_may_have_the_one_before<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(replica.one(&account(1, 2, "c")).await, WAITS);
    let queue = replica.policy.queue.clone();
    let beat = |oldest_unacked| WorkerBeat {
        worker: Uuid::from_u128(9),
        queue: queue.clone(),
        oldest_unacked,
        needs_reconcile: false,
    };
    let busy = beat(Some(Duration::from_mins(2)));
    replica.session.beat(&busy).await.unwrap();
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [WAITS]);
    // Nor while it is not heard of: its messages may not have gone to others yet.
    replica.session.beat(&beat(None)).await.unwrap();
    let minutes = |count: i64| match F::TRUE {
        "1" => (count * 60_000_000).to_string(),
        _ => format!("interval '{count} minutes'"),
    };
    let silent = format!(
        "update cqrs_replica_worker set beat_at = beat_at - {}",
        minutes(2)
    );
    replica.fixture.execute(&silent).await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [WAITS]);
    // What it had brings the letter along.
    assert_eq!(replica.one(&account(1, 1, "b")).await, APPLIED);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "1|SAVE|1", "1|SAVE|2"]);
    // A worker that is up to date, or gone for long, is not waited for.
    let passed = [Applied::Applied {
        gap: 1,
        expired: false,
    }];
    replica.one(&account(1, 4, "e")).await;
    let young = beat(Some(Duration::from_secs(3)));
    replica.session.beat(&young).await.unwrap();
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, passed);
    replica.one(&account(1, 6, "g")).await;
    let gone = format!(
        "update cqrs_replica_worker set beat_at = beat_at - {}",
        minutes(6)
    );
    replica.fixture.execute(&gone).await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, passed);
}

pub(super) async fn in_step_a_failure_is_never_dead_by_default<F: Fixture>() {
    let script = Script::default();
    script.then([Step::Fail; 40]);
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    replica.one(&account(1, 0, "a")).await;
    replica.one(&account(1, 1, "b")).await;
    for _ in 1..40 {
        let sql = "update cqrs_dead_letter set next_attempt_at = created_at where revision = 0";
        replica.fixture.execute(sql).await;
        replica.due().await;
    }
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Retrying, 40));
    assert_eq_rows(&replica.seen().await, &[]);
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED, APPLIED]);
    // Whoever wants to pass over it gives a limit.
    let model = recorded::<F>("account", &script).with_retry(attempts(1));
    replica.models = Models::new([model]).unwrap();
    script.then([Step::Fail]);
    let dead = Applied::Dead { reason: "handler" };
    assert_eq!(replica.one(&account(1, 2, "c")).await, dead);
}

pub(super) async fn without_a_wait_a_gap_is_passed_at_once<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    replica.policy.gap_wait = Duration::ZERO;
    let answer = replica.one(&account(1, 3, "d")).await;
    assert_eq!(
        answer,
        Applied::Applied {
            gap: 3,
            expired: false
        }
    );
}

pub(super) async fn later_revisions_wait_behind_a_failed_one<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Succeed, Step::Fail]);
    let batch = [account(1, 0, "a"), account(1, 1, "b"), account(1, 2, "c")];
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "handler",
    };
    assert_eq!(replica.apply(&batch).await, [APPLIED, failed, WAITS]);
    assert_eq!(replica.one(&account(1, 3, "d")).await, WAITS);
    // A sync does not overtake them either, and other instances are not held back.
    assert_eq!(
        replica
            .one(&Message::sync("account", "1", 3, "").id(9))
            .await,
        WAITS
    );
    assert_eq!(replica.one(&account(2, 0, "x")).await, APPLIED);
    // Their wait ends, but not while the earlier one is in hand.
    replica
        .fixture
        .execute("update cqrs_dead_letter set next_attempt_at = created_at where state = 'waiting'")
        .await;
    assert!(
        replica
            .due()
            .await
            .applied
            .iter()
            .all(|answer| *answer == WAITS)
    );
    replica.make_due().await;
    replica.due().await;
    assert_eq_rows(
        &replica.seen().await,
        &[
            "1|SAVE|0", "2|SAVE|0", "1|SAVE|1", "1|SAVE|2", "1|SAVE|3", "1|SYNC|3",
        ],
    );
    let states = replica.letter_states().await;
    assert_eq!(states, [(LetterState::Resolved, "handler".to_owned())]);
}

pub(super) async fn a_dead_revision_lets_the_next_ones_go<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model.with_retry(attempts(2))).await;
    script.then([Step::Fail, Step::Fail]);
    replica
        .apply(&[account(1, 0, "a"), account(1, 1, "b")])
        .await;
    // The second attempt is the last; what waited for it goes on at once.
    assert_eq!(
        replica.due().await.applied[0],
        Applied::Dead { reason: "handler" }
    );
    let due = replica.due().await;
    assert_eq!(
        due.applied,
        [Applied::Applied {
            gap: 1,
            expired: false
        }]
    );
    // A retry comes too late: its effect would be out of order.
    let queue = replica.policy.queue.clone();
    assert_eq!(replica.session.letter_retry(&queue, None).await.unwrap(), 1);
    assert_eq!(
        replica.due().await.applied,
        [Applied::Skipped(SkipReason::Stale)]
    );
    assert_eq!(replica.letters().await[0].state, LetterState::Superseded);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|1"]);
}

pub(super) async fn a_sync_says_where_an_unknown_instance_stands<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    assert_eq!(
        replica.one(&Message::sync("account", "1", 41, "")).await,
        APPLIED
    );
    assert_eq!(replica.one(&account(1, 42, "a")).await, APPLIED);
    assert_eq_rows(&replica.seen().await, &["1|SYNC|41", "1|SAVE|42"]);
}

/// What was kept and is delivered again does not stand in its letter's way.
pub(super) async fn a_redelivered_wait_is_taken_up<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    replica.one(&account(1, 1, "b")).await;
    let answers = replica
        .apply(&[account(1, 1, "b"), account(1, 0, "a")])
        .await;
    assert_eq!(answers, [Applied::Skipped(SkipReason::Duplicate), APPLIED]);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "1|SAVE|1"]);
    assert!(replica.letters().await.is_empty());
}

/// A message that is applied on its own, because its batch failed, wakes what waited for it.
pub(super) async fn a_message_alone_wakes_the_letter_behind_it<F: Fixture>() {
    let models = [
        recorded::<F>("account", &Script::default()),
        table("tag", TableModel::new("tag", "id")),
    ];
    let create = "create table tag (id integer primary key) {strict}";
    let mut replica = Replica::<F>::new(&[SEEN, create], models).await;
    replica.one(&account(1, 1, "b")).await;
    let bad = Message::save("tag", "\"no number\"", 0, "");
    let answers = replica.apply(&[account(1, 0, "a"), bad]).await;
    assert_eq!(answers[0], APPLIED);
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "1|SAVE|1"]);
}

/// Two sessions get the history of a few instances in any order, with duplicates, in batches of
/// any size, and take up letters meanwhile.
pub(super) async fn two_sessions_keep_the_order_under_shuffle<F: Fixture>() {
    const INSTANCES: i64 = 6;
    const REVISIONS: i64 = 12;
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let replica = Replica::<F>::recording(&Script::default(), |model| model).await;
        let mut messages: Vec<Message> = (0..INSTANCES)
            .flat_map(|key| (0..REVISIONS).map(move |revision| account(key, revision, "x")))
            .collect();
        let again: Vec<Message> = messages
            .iter()
            .filter(|_| random.u8(0..3) == 0)
            .cloned()
            .collect();
        messages.extend(again);
        random.shuffle(&mut messages);
        let half = messages.split_off(messages.len() / 2);
        let worker = |messages: Vec<Message>, seed: u64| {
            let (models, policy) = (replica.models.clone(), replica.policy.clone());
            let store = replica.fixture.store();
            async move {
                use cqrs_replica::ReplicaStore;
                let mut random = fastrand::Rng::with_seed(seed);
                let mut session = store.session().await.unwrap();
                let mut rest = &messages[..];
                while !rest.is_empty() {
                    let (batch, later) = rest.split_at(random.usize(1..=rest.len().min(8)));
                    let batch: Vec<Incoming> = batch.iter().map(Message::incoming).collect();
                    match session.apply(&models, &policy, &batch).await {
                        Ok(answers) => assert_eq!(answers.len(), batch.len()),
                        Err(error) if error.is_transient() => continue,
                        Err(error) => panic!("{error:?}"),
                    }
                    if let Err(error) = session.apply_due(&models, &policy, 10).await {
                        assert!(error.is_transient(), "{error:?}");
                    }
                    rest = later;
                }
            }
        };
        tokio::join!(worker(messages, seed + 10), worker(half, seed + 20));
        let seen = replica
            .rows("select instance_pk, cast(revision as text) from seen order by instance_pk, n")
            .await;
        let expected: Vec<String> = (0..INSTANCES)
            .flat_map(|key| (0..REVISIONS).map(move |revision| format!("{key}|{revision}")))
            .collect();
        assert_eq!(seen, expected, "seed {seed}");
    }
}

/// Each renewal writes a row, and thousands may wait.
pub(super) async fn waits_behind_a_failed_one_are_renewed_ever_more_seldom<F: Fixture>() {
    let script = Script::default();
    script.then([Step::Fail]);
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    replica
        .apply(&[account(1, 0, "a"), account(1, 1, "b")])
        .await;
    // An hour ago.
    let age = if F::TRUE == "1" {
        "3600000000"
    } else {
        "interval '1 hour'"
    };
    let sql = format!(
        "update cqrs_dead_letter set created_at = created_at - {age},
         next_attempt_at = updated_at - {age} where revision = 1"
    );
    replica.fixture.execute(&sql).await;
    assert_eq!(replica.due().await.applied, [WAITS]);
    let waiting = replica.letters().await.remove(1);
    let pause = waiting.next_attempt_at.unwrap() - waiting.updated_at;
    assert!(pause > chrono::TimeDelta::minutes(9), "{pause}");
    // What it waits behind takes it along all the same.
    let sql = "update cqrs_dead_letter set next_attempt_at = created_at where revision = 0";
    replica.fixture.execute(sql).await;
    assert_eq!(replica.due().await.applied, [APPLIED, APPLIED]);
}

pub(super) async fn later_revisions_wait_behind_one_set_aside<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    replica.one(&account(1, 0, "a")).await;
    let aside = Applied::Retrying {
        attempts: 0,
        reason: "database",
    };
    assert_eq!(replica.set_aside(&account(1, 1, "b")).await, aside);
    assert_eq!(replica.set_aside(&account(1, 2, "c")).await, WAITS);
    assert_eq!(replica.one(&account(1, 3, "d")).await, WAITS);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0"]);
    replica.make_due().await;
    // It is taken up by itself, after the others, and brings them along.
    assert_eq!(replica.due().await.applied, [WAITS, WAITS, APPLIED]);
    assert_eq!(replica.due().await.applied, [APPLIED, APPLIED]);
    assert_eq_rows(
        &replica.seen().await,
        &["1|SAVE|0", "1|SAVE|1", "1|SAVE|2", "1|SAVE|3"],
    );
}
