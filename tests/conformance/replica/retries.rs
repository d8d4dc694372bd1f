//! What comes after a failed attempt: the model's policy, and its own word.

use std::time::Duration;

use cqrs_core::RetryPolicy;
use cqrs_replica::{Applied, LetterState, Retry};

use super::{
    fixture::{Fixture, Replica, attempts},
    message::account,
    recorder::{Script, Step},
};

const fn retrying(attempts: u32) -> Applied {
    Applied::Retrying {
        attempts,
        reason: "handler",
    }
}

pub(super) async fn a_model_may_decide_itself<F: Fixture>() {
    let script = Script::default();
    // The word of the model counts whatever the policy says.
    let mut replica = Replica::<F>::recording(&script, |model| {
        model.with_retry(attempts(1)).with_retry_decision(|failed| {
            assert!(failed.error.contains("said no"), "{failed:?}");
            assert_eq!((failed.reason, failed.event.revision.0), ("handler", 0));
            match failed.attempts {
                1 => Retry::After(Duration::from_hours(1)),
                2 => Retry::After(Duration::ZERO),
                _ => Retry::Dead,
            }
        })
    })
    .await;
    script.then([Step::Fail; 3]);
    assert_eq!(replica.one(&account(1, 0, "a")).await, retrying(1));
    let letter = replica.letters().await.remove(0);
    let delay = letter.next_attempt_at.unwrap() - letter.created_at;
    assert!((3590..=3600).contains(&delay.num_seconds()), "{delay}");
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [retrying(2)]);
    assert_eq!(
        replica.due().await.applied,
        [Applied::Dead { reason: "handler" }]
    );
}

pub(super) async fn a_model_may_leave_it_to_the_policy<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| {
        let model = model.with_retry(attempts(2));
        model.with_retry_decision(|failed| match failed.attempts {
            1 => panic!("a defect of the decision"),
            _ => Retry::Backoff,
        })
    })
    .await;
    script.then([Step::Fail; 2]);
    assert_eq!(replica.one(&account(1, 0, "a")).await, retrying(1));
    assert_eq!(
        replica.due().await.applied,
        [Applied::Dead { reason: "handler" }]
    );
}

pub(super) async fn what_a_handler_decides_is_not_asked_about<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| {
        model.with_retry_decision(|_| Retry::After(Duration::ZERO))
    })
    .await;
    script.then([Step::Park, Step::RetryAfter(Duration::from_hours(1))]);
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    assert_eq!(answers, [Applied::Dead { reason: "parked" }, retrying(1)]);
    assert!(replica.due().await.applied.is_empty());
}

pub(super) async fn without_a_limit_it_goes_on_for_ever<F: Fixture>() {
    let script = Script::default();
    let unlimited = RetryPolicy {
        max_attempts: None,
        ..attempts(1)
    };
    let mut replica = Replica::<F>::recording(&script, |model| model.with_retry(unlimited)).await;
    replica.one(&account(1, 0, "a")).await;
    script.then([Step::Fail; 51]);
    replica.one(&account(2, 0, "b")).await;
    for failed in 2..=51 {
        assert_eq!(replica.due().await.applied, [retrying(failed)]);
    }
    let letter = replica.letters().await.remove(0);
    assert_eq!(letter.state, LetterState::Retrying);
}
