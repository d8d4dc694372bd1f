//! Waiting until what a command has recorded is applied.

use std::time::{Duration, Instant};

use cqrs_core::{Revision, Token};
use cqrs_replica::{
    Freshness, LetterState, NotFresh, TableModel,
    freshness::{HoldingLetter, MissingEvent},
};
use tokio::task::JoinSet;

use super::{
    fixture::{APPLIED, Fixture, Replica, attempts, id, policy, table},
    message::{Message, account, gone},
    recorder::{Script, Step},
};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);

impl<F: Fixture> Replica<F> {
    fn freshness(&self) -> Freshness {
        self.fixture
            .freshness(policy().queue, self.models.cqrs_ids().collect())
    }

    /// What is still missing of `account 1` at this revision after a short wait.
    async fn missing(&self, revision: i64) -> Option<MissingEvent> {
        let wait = self.freshness();
        missing(wait.wait_for(&one(revision), SHORT).await).pop()
    }
}

fn token(events: &[(&str, &str, i64)]) -> Token {
    Token::new(
        events.iter().map(|&(cqrs_id, key, revision)| {
            (cqrs_id.to_owned(), key.to_owned(), Revision(revision))
        }),
    )
}

fn one(revision: i64) -> Token {
    token(&[("account", "1", revision)])
}

#[track_caller]
fn missing(answer: Result<(), NotFresh>) -> Vec<MissingEvent> {
    match answer {
        Ok(()) => Vec::new(),
        Err(NotFresh::TimedOut { missing, .. }) => missing,
        Err(error @ NotFresh::Store(_)) => panic!("{error:?}"),
    }
}

#[track_caller]
fn letter(event: Option<MissingEvent>) -> (LetterState, String) {
    let Some(HoldingLetter { state, reason, .. }) = event.unwrap().letter else {
        panic!("no letter is named")
    };
    (state, reason)
}

pub(super) async fn what_is_applied_is_fresh_at_once<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica
        .apply(&[account(1, 4, "a"), account(2, 0, "b")])
        .await;
    let freshness = replica.freshness();
    for token in [
        token(&[("account", "1", 4), ("account", "2", 0)]),
        // A later revision is enough.
        token(&[("account", "1", 2)]),
    ] {
        let before = freshness.looks();
        freshness.wait_for(&token, LONG).await.unwrap();
        assert_eq!(freshness.looks(), before + 1);
    }
    let missing = replica.missing(5).await.unwrap();
    assert_eq!(
        (missing.cqrs_id, &*missing.instance_pk, missing.revision),
        (id("account"), "1", Revision(5))
    );
    assert_eq!(missing.letter, None);
}

pub(super) async fn what_comes_later_is_noticed<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let freshness = replica.freshness();
    let token = token(&[("account", "1", 1), ("account", "2", 0)]);
    let mut wait = JoinSet::new();
    let waiting = freshness.clone();
    wait.spawn(async move { waiting.wait_for(&token, LONG).await });
    replica.apply(&[account(1, 0, "a")]).await;
    assert_eq!(replica.one(&account(2, 0, "b")).await, APPLIED);
    assert!(wait.try_join_next().is_none(), "a part was enough");
    replica.apply(&[account(1, 1, "c")]).await;
    wait.join_next().await.unwrap().unwrap().unwrap();
    // It was worth waiting for.
    let names = replica.rows("select name from account order by id").await;
    assert_eq!(names, ["c", "b"]);
}

pub(super) async fn a_delete_is_waited_for<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    assert!(replica.missing(1).await.is_some());
    replica.one(&gone(1, 1)).await;
    for revision in [0, 1] {
        assert_eq!(replica.missing(revision).await, None);
    }
    assert!(replica.missing(2).await.is_some());
    replica.one(&account(1, 2, "again")).await;
    assert_eq!(replica.missing(2).await, None);
}

/// The tombstone of the days when Django was the master may have any revision.
pub(super) async fn a_tombstone_of_another_count_says_nothing<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 7, "a").django().at(100)).await;
    assert_eq!(replica.missing(3).await, None);
    replica.one(&gone(1, 8).django().at(101)).await;
    assert!(replica.missing(0).await.is_some());
    replica.one(&account(1, 0, "b").at(102)).await;
    assert_eq!(replica.missing(0).await, None);
}

pub(super) async fn models_that_are_not_kept_are_not_waited_for<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    let freshness = replica.freshness();
    let others = token(&[("country", "1", 0), ("no name", "1", 0)]);
    freshness.wait_for(&others, LONG).await.unwrap();
    assert_eq!(freshness.looks(), 0);
    let mixed = token(&[("country", "1", 0), ("account", "1", 0)]);
    freshness.wait_for(&mixed, LONG).await.unwrap();
    assert_eq!(freshness.looks(), 1);
}

pub(super) async fn another_queues_state_is_not_this_ones<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    let audit = "audit".parse().unwrap();
    let freshness = replica.fixture.freshness(audit, vec![id("account")]);
    let answer = freshness.wait_for(&one(0), SHORT).await;
    assert_eq!(missing(answer).len(), 1);
}

pub(super) async fn keys_are_taken_as_they_are<F: Fixture>() {
    const ODD: [&str; 5] = ["né 😀", "it's", "a\"b\\c", "[1,\"x\"]", "%_"];
    let model = table(
        "tag",
        TableModel::new("tag", "id").with_columns([("name", "name")]),
    );
    let create = "create table tag (id text primary key, name text)";
    let mut replica = Replica::<F>::new(&[create], [model]).await;
    let save = |key: &str| {
        let key = serde_json::to_string(key).unwrap();
        Message::save("tag", &key, 0, "\"name\":\"n\"")
    };
    replica.apply(&ODD.map(save)).await;
    let odd = ODD.map(|key| ("tag", key, 0));
    let freshness = replica.freshness();
    freshness.wait_for(&token(&odd), LONG).await.unwrap();
    // What nobody can have recorded holds back nobody else.
    let forged = [("tag", "a\0b", 0), ("tag", "it's", 0), ("tag", "it", -5)];
    let answer = freshness.wait_for(&token(&forged), SHORT).await;
    let keys: Vec<String> = missing(answer)
        .into_iter()
        .map(|event| event.instance_pk)
        .collect();
    assert_eq!(keys, ["a\0b", "it"]);
}

pub(super) async fn a_letter_that_holds_an_event_is_named<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model.with_retry(attempts(2))).await;
    // Its state has a row by now, and nothing is applied.
    script.then([Step::Fail]);
    replica.one(&account(1, 0, "a")).await;
    let retrying = (LetterState::Retrying, "handler".to_owned());
    assert_eq!(letter(replica.missing(0).await), retrying);
    replica.one(&account(1, 1, "b")).await;
    let waiting = (LetterState::Waiting, "gap".to_owned());
    assert_eq!(letter(replica.missing(1).await), waiting);
    // Not come yet.
    assert_eq!(replica.missing(2).await.unwrap().letter, None);

    script.then([Step::Park]);
    replica.make_due().await;
    replica.due().await;
    replica.due().await;
    // What waited behind the dead one goes on, and counts for it.
    for revision in [1, 0] {
        assert_eq!(replica.missing(revision).await, None);
    }
}

pub(super) async fn a_dead_letter_is_named<F: Fixture>() {
    let script = Script::default();
    let mut replica = Replica::<F>::recording(&script, |model| model).await;
    script.then([Step::Park]);
    replica.one(&account(1, 0, "a")).await;
    let answer = replica.freshness().wait_for(&one(0), SHORT).await;
    let error = answer.unwrap_err().to_string();
    assert_eq!(
        error,
        "the replica has not applied within 100ms: account 1 revision 0 (letter 1, dead: parked)"
    );
}

pub(super) async fn a_database_without_the_tables_is_an_error<F: Fixture>() {
    let fixture = F::empty().await;
    let freshness = fixture.freshness(policy().queue, vec![id("account")]);
    let began = Instant::now();
    let answer = freshness.wait_for(&one(0), LONG).await;
    let Err(NotFresh::Store(error)) = answer else {
        panic!("{answer:?}")
    };
    assert!(!error.is_transient(), "{error:?}");
    assert!(began.elapsed() < LONG / 2);
}

pub(super) async fn two_hundred_who_wait_make_few_statements<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let freshness = replica.freshness();
    let began = Instant::now();
    let mut all = JoinSet::new();
    for number in 0..200 {
        let freshness = freshness.clone();
        let token = token(&[("account", &number.to_string(), 0)]);
        all.spawn(async move { freshness.wait_for(&token, LONG).await });
    }
    for from in (0..200).step_by(10) {
        let batch: Vec<_> = (from..from + 10)
            .map(|number| account(number, 0, "a"))
            .collect();
        replica.apply(&batch).await;
    }
    for answer in all.join_all().await {
        answer.unwrap();
    }
    // However slow the machine is: one look in two milliseconds at most, and far fewer than one each.
    let looks = freshness.looks();
    let most = began.elapsed().as_millis() / 2 + 1;
    assert!(u128::from(looks) <= most, "{looks} looks");
    assert!(looks <= 100, "{looks} looks");
}

/// Who is dropped in the middle of a statement leaves the pool as it was.
pub(super) async fn whoever_looks_may_be_dropped_at_any_moment<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let freshness = replica.freshness();
    replica.one(&account(1, 0, "a")).await;
    let random = &mut fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let waits = freshness.clone();
        let mut dropped = JoinSet::new();
        dropped.spawn(async move { waits.wait_for(&one(1), LONG).await });
        let pause = Duration::from_micros(random.u64(..3_000));
        let patience = tokio::time::timeout(pause, dropped.join_next()).await;
        assert!(patience.is_err(), "{patience:?}");
        dropped.abort_all();
        freshness.wait_for(&one(0), LONG).await.unwrap();
    }
}
