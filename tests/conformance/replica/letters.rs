//! Letters: kept byte by byte, listed, shown, retried, discarded.

use std::time::Duration;

use cqrs_replica::{
    Applied, LetterState, Model, Models, OnExpired, ReplicaSession, SkipReason, TableModel,
    WaitReason,
};
use uuid::Uuid;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, attempts, table},
    message::{Message, account, gone},
    recorder::{Script, Step},
};

const NAMES: &str = "select name from account order by id";
const UNREADABLE: Applied = Applied::Dead {
    reason: "unreadable",
};
const UNKNOWN: Applied = Applied::Waiting(WaitReason::UnknownModel);

pub(super) async fn an_unreadable_body_is_kept_byte_by_byte<F: Fixture>() {
    let bodies: [&[u8]; 8] = [
        b"",
        b"not json",
        b"\xff\xfe\x00 not even text",
        b"[1]",
        b"null",
        br#"{"signal_type":"SAVE","cqrs_id":"a\u0000b","instance_pk":1}"#,
        br#"{"signal_type":"BOOM","cqrs_id":"account","instance_pk":7,"instance_data":{}}"#,
        br#"{"signal_type":"SAVE","cqrs_id":"account","instance_pk":null,"instance_data":{}}"#,
    ];
    let mut replica = Replica::<F>::accounts().await;
    let mut batch: Vec<Message> = bodies.iter().map(|body| Message::raw(body)).collect();
    batch.push(account(1, 0, "good"));
    let answers = replica.apply(&batch).await;
    assert!(
        answers[..8].iter().all(|answer| *answer == UNREADABLE),
        "{answers:?}"
    );
    assert_eq!(answers[8], APPLIED);
    let letters = replica.letters().await;
    for (letter, body) in letters.iter().zip(bodies) {
        assert_eq!(&letter.body[..], body);
        assert_eq!(
            (letter.state, letter.reason.as_str()),
            (LetterState::Dead, "unreadable")
        );
        assert!(letter.error.is_some());
    }
    // As much as could be read.
    assert_eq!(letters[6].cqrs_id.as_deref(), Some("account"));
    assert_eq!(letters[6].instance_pk.as_deref(), Some("7"));
}

pub(super) async fn a_negative_revision_is_unreadable<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    assert_eq!(replica.one(&account(1, -1, "a")).await, UNREADABLE);
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
}

pub(super) async fn an_unreadable_message_given_again_is_one_letter<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let message = Message::raw(b"x").id(5);
    assert_eq!(replica.one(&message).await, UNREADABLE);
    assert_eq!(
        replica.apply(&[message.clone(), message]).await,
        [UNREADABLE, UNREADABLE]
    );
    assert_eq!(replica.letters().await.len(), 1);
}

pub(super) async fn messages_that_share_an_id_are_each_judged<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let bad = Message::save("account", "1", 0, "\"qty\":1").id(7);
    let batch = [
        Message::raw(b"x").id(7),
        Message::raw(b"y").id(7),
        bad.clone(),
        account(1, 1, "a").id(7),
        account(2, 0, "b").id(7),
    ];
    let answers = replica.apply(&batch).await;
    assert_eq!(answers[..2], [UNREADABLE; 2]);
    assert!(
        matches!(answers[2], Applied::Retrying { .. }),
        "{answers:?}"
    );
    assert_eq!(answers[3..], [APPLIED, APPLIED]);
    assert_eq!(replica.one(&account(3, 0, "c").id(7)).await, APPLIED);
    // What one of them is kept for says nothing of another one of the same revision either.
    assert_eq!(
        replica
            .one(&Message::save("account", "4", 0, "").id(7))
            .await,
        answers[2]
    );
    assert_eq!(replica.one(&account(4, 0, "d").id(7)).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["a", "b", "c", "d"]);
    // Each of them given again is known.
    let letters = replica.letters().await.len();
    assert_eq!(replica.apply(&batch[..2]).await, [UNREADABLE; 2]);
    assert_eq!(replica.letters().await.len(), letters);
}

pub(super) async fn a_letter_knows_its_message<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let message = Message::save("account", "1", 4, "\"qty\":1").id(77);
    replica.one(&message).await;
    let queue = replica.policy.queue.clone();
    let id = replica.letters().await[0].id;
    let letter = replica
        .session
        .letter_show(&queue, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(letter.message_id, Some(Uuid::from_u128(77)));
    assert_eq!(letter.routing_key, "account");
    assert_eq!(&letter.body[..], message.body());
    assert_eq!(letter.cqrs_id.as_deref(), Some("account"));
    assert_eq!(letter.instance_pk.as_deref(), Some("1"));
    assert_eq!(letter.signal.as_deref(), Some("SAVE"));
    assert_eq!(letter.revision, Some(4));
    assert_eq!(letter.attempts, 1);
    assert!(
        replica
            .session
            .letter_show(&queue, id + 1)
            .await
            .unwrap()
            .is_none()
    );
    let other = cqrs_core::QueueName::new("other").unwrap();
    assert!(
        replica
            .session
            .letter_show(&other, id)
            .await
            .unwrap()
            .is_none()
    );
}

pub(super) async fn letters_are_listed_newest_first<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    for body in ["a", "b", "c"] {
        replica.one(&Message::raw(body.as_bytes())).await;
    }
    replica.one(&Message::save("account", "1", 0, "")).await;
    let queue = replica.policy.queue.clone();
    let dead = replica
        .session
        .letter_list(&queue, Some(LetterState::Dead), 2)
        .await
        .unwrap();
    let bodies: Vec<&[u8]> = dead.iter().map(|letter| &letter.body[..]).collect();
    assert_eq!(bodies, [b"c", b"b"]);
    assert_eq!(
        replica
            .session
            .letter_list(&queue, None, 10)
            .await
            .unwrap()
            .len(),
        4
    );
}

pub(super) async fn a_dead_letter_is_applied_when_retried<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Park]);
    replica.one(&account(1, 0, "a")).await;
    assert!(replica.due().await.applied.is_empty());
    let queue = replica.policy.queue.clone();
    let id = replica.letters().await[0].id;
    assert_eq!(
        replica
            .session
            .letter_retry(&queue, Some(&[id, id + 1]))
            .await
            .unwrap(),
        1
    );
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Retrying, 0));
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0"]);
    assert_eq!(replica.letters().await[0].state, LetterState::Resolved);
    assert_eq!(replica.session.letter_retry(&queue, None).await.unwrap(), 0);
}

pub(super) async fn a_letter_in_backoff_can_be_hurried<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&Message::save("account", "1", 0, "")).await;
    assert!(replica.due().await.applied.is_empty());
    let queue = replica.policy.queue.clone();
    // Without names only the dead ones.
    assert_eq!(replica.session.letter_retry(&queue, None).await.unwrap(), 0);
    let id = replica.letters().await[0].id;
    assert_eq!(
        replica
            .session
            .letter_retry(&queue, Some(&[id]))
            .await
            .unwrap(),
        1
    );
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "missing_column",
    };
    assert_eq!(replica.due().await.applied, [failed]);
}

pub(super) async fn a_discarded_letter_is_left_alone<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    for body in ["a", "b"] {
        replica.one(&Message::raw(body.as_bytes())).await;
    }
    let queue = replica.policy.queue.clone();
    let first = replica.letters().await[0].id;
    assert_eq!(
        replica
            .session
            .letter_discard(&queue, Some(&[first]))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        replica
            .session
            .letter_discard(&queue, Some(&[first]))
            .await
            .unwrap(),
        0
    );
    assert_eq!(replica.session.letter_retry(&queue, None).await.unwrap(), 1);
    assert_eq!(replica.due().await.applied, [UNREADABLE]);
    assert_eq!(
        replica.session.letter_discard(&queue, None).await.unwrap(),
        1
    );
    let states: Vec<LetterState> = replica
        .letters()
        .await
        .iter()
        .map(|letter| letter.state)
        .collect();
    assert_eq!(states, [LetterState::Discarded, LetterState::Discarded]);
}

pub(super) async fn a_newer_state_supersedes_a_retrying_letter<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica
        .one(&Message::save("account", "1", 0, "\"qty\":1"))
        .await;
    replica
        .one(&Message::save("account", "1", 1, "\"qty\":1"))
        .await;
    replica
        .one(&Message::save("account", "1", 3, "\"qty\":1"))
        .await;
    replica.one(&account(1, 2, "a")).await;
    let states: Vec<LetterState> = replica
        .letters()
        .await
        .iter()
        .map(|letter| letter.state)
        .collect();
    let superseded = LetterState::Superseded;
    assert_eq!(states, [superseded, superseded, LetterState::Retrying]);
    // One that was dead is judged when it is retried.
    replica
        .fixture
        .execute(
            "update cqrs_dead_letter set state = 'dead', next_attempt_at = null where revision = 1",
        )
        .await;
    let queue = replica.policy.queue.clone();
    replica.session.letter_retry(&queue, None).await.unwrap();
    assert_eq!(
        replica.due().await.applied,
        [Applied::Skipped(SkipReason::Stale)]
    );
    assert_eq_rows(&replica.rows(NAMES).await, &["a"]);
}

pub(super) async fn a_second_delete_supersedes_a_retrying_letter<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&gone(1, 1)).await;
    replica
        .one(&Message::save("account", "1", 2, "\"qty\":1"))
        .await;
    let duplicate = Applied::Skipped(SkipReason::Duplicate);
    assert_eq!(replica.one(&gone(1, 3)).await, duplicate);
    assert_eq!(replica.letters().await[0].state, LetterState::Superseded);
}

pub(super) async fn an_unknown_model_is_waited_for<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let known = replica.models.clone();
    replica.models = Models::new([]).unwrap();
    assert_eq!(replica.one(&account(1, 0, "a")).await, UNKNOWN);
    assert_eq!(replica.one(&account(1, 0, "a")).await, UNKNOWN);
    assert_eq!(replica.one(&account(1, 1, "b")).await, UNKNOWN);
    assert!(replica.due().await.applied.is_empty());
    // A worker that knows it takes them up at once.
    replica.models = known;
    let due = replica.due().await;
    assert_eq!(
        due.applied,
        [Applied::Skipped(SkipReason::Overtaken), APPLIED]
    );
    assert_eq_rows(&replica.rows(NAMES).await, &["b"]);
}

pub(super) async fn an_unknown_model_is_not_waited_for_for_ever<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.models = Models::new([]).unwrap();
    replica.one(&account(1, 0, "a")).await;
    replica.make_due().await;
    assert_eq!(
        replica.due().await.applied,
        [Applied::Dead {
            reason: "unknown_model"
        }]
    );
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("account"), "{error}");
}

/// A retry may fall into the hands of a worker that still does not know the model.
pub(super) async fn a_retried_letter_of_an_unknown_model_waits_anew<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let known = std::mem::replace(&mut replica.models, Models::new([]).unwrap());
    replica.one(&account(1, 0, "a")).await;
    replica.make_due().await;
    replica.due().await;
    assert_eq!(replica.letters().await[0].state, LetterState::Dead);
    let queue = replica.policy.queue.clone();
    assert_eq!(replica.session.letter_retry(&queue, None).await.unwrap(), 1);
    assert_eq!(replica.due().await.applied, [UNKNOWN]);
    replica.models = known;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["a"]);
}

pub(super) async fn an_in_step_handler_that_comes_late_gets_them_in_order<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    let known = replica.models.clone();
    replica.models = Models::new([]).unwrap();
    replica
        .apply(&[account(1, 0, "a"), account(1, 2, "c"), account(1, 1, "b")])
        .await;
    replica.models = known;
    // What comes meanwhile does not overtake them.
    let answer = replica.one(&account(1, 3, "d")).await;
    assert_eq!(answer, Applied::Waiting(WaitReason::Gap));
    replica.due().await;
    assert_eq_rows(
        &replica.seen().await,
        &["1|SAVE|0", "1|SAVE|1", "1|SAVE|2", "1|SAVE|3"],
    );
}

const PAST: &str = "2020-01-01T00:00:00+00:00";

pub(super) async fn an_expired_message_is_judged_by_the_model<F: Fixture>() {
    for (policy, expected) in [
        (
            OnExpired::Apply,
            Applied::Applied {
                gap: 0,
                expired: true,
            },
        ),
        (OnExpired::Park, Applied::Dead { reason: "expired" }),
    ] {
        let model = table("account", TableModel::new("account", "id"));
        let model: Model<F::Store> = model.with_on_expired(policy);
        let mut replica = Replica::<F>::new(&[ACCOUNT], [model]).await;
        assert_eq!(
            replica.one(&account(1, 0, "a").expires(PAST)).await,
            expected
        );
        let alive = account(2, 0, "b").expires("2120-01-01T00:00:00+00:00");
        assert_eq!(replica.one(&alive).await, APPLIED);
        // One that says nothing new is skipped, not kept.
        let stale = Applied::Skipped(SkipReason::Duplicate);
        assert_eq!(replica.one(&account(2, 0, "b").expires(PAST)).await, stale);
    }
}

pub(super) async fn an_expired_event_is_applied_when_someone_wants_it<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    let expired = account(1, 0, "a").expires(PAST);
    assert_eq!(
        replica.one(&expired).await,
        Applied::Dead { reason: "expired" }
    );
    assert_eq_rows(&replica.seen().await, &[]);
    let queue = replica.policy.queue.clone();
    replica.session.letter_retry(&queue, None).await.unwrap();
    // Also when the first attempt fails.
    script.then([Step::Fail]);
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "handler",
    };
    assert_eq!(replica.due().await.applied, [failed]);
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
}

pub(super) async fn queues_do_not_mix<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica
        .apply(&[account(1, 0, "a"), Message::save("account", "2", 0, "")])
        .await;
    replica.policy.queue = cqrs_core::QueueName::new("other").unwrap();
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    replica.make_due().await;
    assert!(replica.due().await.applied.is_empty());
    assert!(replica.letters().await.is_empty());
}

pub(super) async fn due_letters_are_shared_out<F: Fixture>() {
    const LETTERS: usize = 30;
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model.with_retry(attempts(5))).await;
    script.then([Step::Fail; LETTERS]);
    let batch: Vec<Message> = (0..i64::try_from(LETTERS).unwrap())
        .map(|key| account(key, 0, "x"))
        .collect();
    replica.apply(&batch).await;
    let mut other = replica.fixture.session().await;
    let mut applied = 0;
    for _ in 0..20 {
        let (a, b) = tokio::join!(
            replica
                .session
                .apply_due(&replica.models, &replica.policy, 4),
            other.apply_due(&replica.models, &replica.policy, 4),
        );
        applied += a.unwrap().applied.len() + b.unwrap().applied.len();
        if applied >= LETTERS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(applied, LETTERS);
    assert_eq!(replica.seen().await.len(), LETTERS);
}

pub(super) async fn a_message_set_aside_is_one_letter_without_an_attempt<F: Fixture>() {
    let aside = Applied::Retrying {
        attempts: 0,
        reason: "database",
    };
    let mut replica = Replica::<F>::accounts().await;
    let message = account(1, 0, "a").id(7);
    assert_eq!(replica.set_aside(&message).await, aside);
    assert_eq!(replica.set_aside(&message).await, aside);
    assert_eq!(replica.one(&message).await, aside);
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Retrying, 0));
    assert_eq!(letter.error.as_deref(), Some("a test"));
    assert!(replica.due().await.applied.is_empty(), "not due yet");
    // A newer state takes its place; what says nothing new needs no letter.
    assert_eq!(replica.one(&account(1, 1, "b")).await, APPLIED);
    let stale = Applied::Skipped(SkipReason::Stale);
    assert_eq!(replica.set_aside(&account(1, 0, "x").id(8)).await, stale);
    assert_eq!(
        replica.letter_states().await,
        [(LetterState::Superseded, "database".to_owned())]
    );
}
