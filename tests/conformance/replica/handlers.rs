//! Handlers: one transaction with the bookkeeping, and a verdict.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cqrs_core::{Event, Signal, StoreError};
use cqrs_replica::{Applied, Failure, Handler, LetterState, Model, ReplicaStore, SkipReason};

use super::{
    fixture::{APPLIED, Fixture, Replica, assert_eq_rows, attempts, id},
    message::{account, gone},
    recorder::{Script, Step},
};

pub(super) async fn a_handler_sees_each_event_once<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    let batch = [
        account(1, 0, "a"),
        account(2, 0, "b"),
        account(1, 1, "c"),
        gone(1, 2),
    ];
    assert_eq!(
        replica.apply(&batch).await,
        [APPLIED, APPLIED, APPLIED, APPLIED]
    );
    let seen = ["1|SAVE|0", "1|SAVE|1", "1|DELETE|2", "2|SAVE|0"];
    assert_eq_rows(&replica.seen().await, &seen);
    for answer in replica.apply(&batch).await {
        assert!(matches!(answer, Applied::Skipped(_)), "{answer:?}");
    }
    assert_eq_rows(&replica.seen().await, &seen);
}

pub(super) async fn what_a_failed_handler_wrote_is_gone<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Succeed, Step::Fail, Step::Succeed]);
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b"), account(3, 0, "c")])
        .await;
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "handler",
    };
    assert_eq!(answers, [APPLIED, failed, APPLIED]);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "3|SAVE|0"]);
    let letter = replica.letters().await.remove(0);
    assert_eq!(letter.error.as_deref(), Some("the service said no"));
    assert!(letter.next_attempt_at.unwrap() > letter.created_at);
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq!(replica.letters().await[0].state, LetterState::Resolved);
}

pub(super) async fn a_parked_event_is_dead_at_once<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Park]);
    assert_eq!(
        replica.one(&account(1, 0, "a")).await,
        Applied::Dead { reason: "parked" }
    );
    assert_eq!(replica.letters().await[0].error.as_deref(), Some("never"));
    assert_eq_rows(&replica.seen().await, &[]);
}

pub(super) async fn retry_after_is_taken_at_its_word<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::RetryAfter(Duration::from_hours(1))]);
    let answer = replica.one(&account(1, 0, "a")).await;
    assert_eq!(
        answer,
        Applied::Retrying {
            attempts: 1,
            reason: "handler"
        }
    );
    let letter = replica.letters().await.remove(0);
    let delay = letter.next_attempt_at.unwrap() - letter.created_at;
    assert!((3590..=3600).contains(&delay.num_seconds()), "{delay}");
    let next = replica.due().await.next.unwrap();
    assert!(
        next > Duration::from_secs(3500) && next <= Duration::from_hours(1),
        "{next:?}"
    );
}

pub(super) async fn a_panic_becomes_a_dead_letter<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Panic]);
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    assert_eq!(answers, [Applied::Dead { reason: "panic" }, APPLIED]);
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("boom 0"), "{error}");
    assert_eq_rows(&replica.seen().await, &["2|SAVE|0"]);
}

pub(super) async fn attempts_run_out<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model.with_retry(attempts(2))).await;
    script.then([Step::Fail, Step::RetryAfter(Duration::ZERO)]);
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(
        replica.due().await.applied,
        [Applied::Dead { reason: "handler" }]
    );
}

pub(super) async fn an_error_that_a_handler_swallows_is_found_out<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Swallow]);
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    assert_eq!(answers[1], APPLIED);
    // Where a failed statement fails the transaction, the handler has failed.
    let seen = replica.seen().await;
    match &answers[0] {
        Applied::Retrying {
            reason: "handler", ..
        } => assert_eq_rows(&seen, &["2|SAVE|0"]),
        answer => {
            assert_eq!(*answer, APPLIED);
            assert_eq_rows(&seen, &["1|SAVE|0", "2|SAVE|0"]);
        }
    }
}

pub(super) async fn a_handler_that_ends_the_transaction_is_parked<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    // Once in the batch, once alone.
    script.then([Step::End, Step::End]);
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    assert_eq!(answers, [Applied::Dead { reason: "parked" }, APPLIED]);
    assert_eq!(replica.one(&account(3, 0, "c")).await, APPLIED);
}

pub(super) async fn a_lost_race_is_not_counted<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::LoseRace]);
    let error = replica.try_apply(&[account(1, 0, "a")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert!(replica.letters().await.is_empty());
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0"]);
}

pub(super) async fn a_latest_handler_skips_what_is_overtaken<F: Fixture>() {
    let mut replica =
        Replica::<F>::recording(&Script::default(), cqrs_replica::Model::latest).await;
    assert_eq!(
        replica
            .apply(&[account(1, 5, "a"), account(1, 3, "b"), account(1, 7, "c")])
            .await,
        [
            APPLIED,
            Applied::Skipped(SkipReason::Stale),
            Applied::Applied {
                gap: 1,
                expired: false
            }
        ]
    );
    assert_eq_rows(&replica.seen().await, &["1|SAVE|5", "1|SAVE|7"]);
}

/// Keeps names in memory.
#[derive(Clone, Default)]
struct Cache(Arc<Mutex<BTreeMap<String, String>>>);

impl<S: ReplicaStore> Handler<S> for Cache {
    async fn apply(&self, _: &mut S::Connection, event: &Event) -> Result<(), Failure> {
        let key = event.key.canonical();
        let mut names = self.0.lock().map_err(|_| "the cache is broken")?;
        match event.signal {
            Signal::Delete => names.remove(&key),
            Signal::Save | Signal::Sync => {
                let name = event.data.get("name").ok_or("there is no name")?;
                names.insert(key, name.get().to_owned())
            }
        };
        Ok(())
    }
}

pub(super) async fn a_handler_needs_no_database<F: Fixture>() {
    let cache = Cache::default();
    let model = Model::handler(id("account"), cache.clone()).latest();
    let mut replica = Replica::<F>::new(&[], [model]).await;
    replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b"), account(1, 1, "c")])
        .await;
    replica.apply(&[account(1, 0, "a"), gone(2, 1)]).await;
    let names = cache.0.lock().unwrap().clone();
    assert_eq!(
        names,
        BTreeMap::from([("1".to_owned(), "\"c\"".to_owned())])
    );
}
