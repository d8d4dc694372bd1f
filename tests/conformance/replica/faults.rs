//! Messages that the database refuses cost only themselves, and say why.

use std::time::Duration;

use cqrs_core::StoreError;
use cqrs_replica::{
    Applied, Letter, LetterState, Model, Models, ReplicaSession, SkipReason, TableModel,
};

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, attempts, table},
    message::{Message, account, gone},
    paused::{PAUSED, works_off},
};

const NAMES: &str = "select name from account order by id";

fn retrying(reason: &'static str) -> Applied {
    Applied::Retrying {
        attempts: 1,
        reason,
    }
}

async fn refused<F: Fixture>(data: &str, reason: &'static str) -> (Replica<F>, Letter) {
    let mut replica = Replica::<F>::accounts().await;
    let message = Message::save("account", "1", 0, data);
    assert_eq!(replica.one(&message).await, retrying(reason));
    let letter = replica.letters().await.remove(0);
    assert_eq!(
        (letter.state, letter.reason.as_str()),
        (LetterState::Retrying, reason)
    );
    assert_eq!(&letter.body[..], message.body());
    assert!(letter.fingerprint.is_some());
    assert_eq_rows(&replica.rows(NAMES).await, &[]);
    (replica, letter)
}

pub(super) async fn a_missing_column_is_named<F: Fixture>() {
    let (_, letter) = refused::<F>("\"qty\":1", "missing_column").await;
    assert!(letter.error.unwrap().contains("name"));
}

pub(super) async fn a_wrong_type_names_the_column_and_not_the_value<F: Fixture>() {
    let (_, letter) = refused::<F>(r#""name":"a","qty":"secret""#, "type").await;
    let error = letter.error.unwrap();
    assert!(
        error.contains("qty") && !error.contains("secret"),
        "{error}"
    );
}

pub(super) async fn null_where_none_may_be_is_named<F: Fixture>() {
    let (_, letter) = refused::<F>(r#""name":null,"qty":1"#, "constraint").await;
    assert!(letter.error.unwrap().contains("name"));
}

pub(super) async fn a_violated_constraint_is_named<F: Fixture>() {
    let model = TableModel::new("account", "id");
    let create = "create table account (id integer primary key, name text not null, qty integer,
                  constraint qty_is_small check (qty < 10)) {strict}";
    let mut replica = Replica::<F>::new(&[create], [table("account", model)]).await;
    let message = Message::save("account", "1", 0, r#""name":"a","qty":11"#);
    assert_eq!(replica.one(&message).await, retrying("constraint"));
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("qty_is_small"), "{error}");
}

pub(super) async fn a_number_out_of_range_names_the_column_and_not_the_value<F: Fixture>() {
    let number = "123456789012345678901234567890";
    let (_, letter) = refused::<F>(&format!(r#""name":"a","qty":{number}"#), "type").await;
    let error = letter.error.unwrap();
    assert!(
        error.contains("\"qty\"") && error.contains("number"),
        "{error}"
    );
    assert!(!error.contains("1234"), "{error}");
}

pub(super) async fn a_key_of_the_wrong_type_names_the_column<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let message = Message::save("account", "\"secret\"", 0, r#""name":"a","qty":1"#);
    assert_eq!(replica.one(&message).await, retrying("type"));
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(
        error.contains("\"id\"") && error.contains("string"),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
}

pub(super) async fn a_value_that_must_be_unique_names_its_columns<F: Fixture>() {
    let model = TableModel::new("account", "id");
    let create = "create table account (id integer primary key, name text not null, qty integer,
                  constraint one_name unique (name, qty)) {strict}";
    let mut replica = Replica::<F>::new(&[create], [table("account", model)]).await;
    let save = |key| Message::save("account", key, 0, r#""name":"secret","qty":12345"#);
    let answers = replica.apply(&[save("1"), save("2")]).await;
    assert_eq!(answers, [APPLIED, retrying("constraint")]);
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("name") && error.contains("qty"), "{error}");
    assert!(
        !error.contains("secret") && !error.contains("12345"),
        "{error}"
    );
}

pub(super) async fn a_bad_message_costs_only_itself<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let bad = Message::save("account", "3", 0, r#""name":"x","qty":"many""#);
    let answers = replica
        .apply(&[
            account(1, 0, "a"),
            account(2, 0, "b"),
            bad,
            account(4, 0, "d"),
            gone(1, 1),
        ])
        .await;
    assert_eq!(
        answers,
        [APPLIED, APPLIED, retrying("type"), APPLIED, APPLIED]
    );
    assert_eq_rows(&replica.rows(NAMES).await, &["b", "d"]);
    assert_eq!(replica.letters().await.len(), 1);
}

pub(super) async fn a_bad_message_does_not_hold_back_its_instance_in_a_table<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let bad = Message::save("account", "1", 0, "\"qty\":1");
    assert_eq!(replica.apply(&[bad, account(1, 1, "b")]).await[1], APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["b"]);
    let states = replica.letter_states().await;
    assert_eq!(
        states,
        [(LetterState::Superseded, "missing_column".to_owned())]
    );
}

pub(super) async fn a_dropped_table_is_waited_for<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica.fixture.execute("drop table account").await;
    let answers = replica
        .apply(&[account(1, 1, "b"), account(2, 0, "c")])
        .await;
    assert_eq!(answers, [PAUSED, PAUSED]);
    replica.fixture.execute(ACCOUNT).await;
    works_off(&mut replica, 0).await;
    assert_eq_rows(&replica.rows(NAMES).await, &["b", "c"]);
}

pub(super) async fn a_renamed_column_is_noticed<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica
        .fixture
        .execute("alter table account rename column qty to quantity")
        .await;
    assert_eq!(replica.one(&account(1, 1, "b")).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["b"]);
}

/// A replica whose `account` wanted one column more when its session last looked, and a message that
/// has become a letter over it.
async fn mended<F: Fixture>() -> Replica<F> {
    let create = "create table account (id integer primary key, name text not null, qty integer,
                  region text not null) {strict}";
    let model = table("account", TableModel::new("account", "id"));
    let mut replica = Replica::<F>::new(&[create], [model]).await;
    let refused = replica.one(&account(1, 0, "a")).await;
    assert_eq!(refused, retrying("missing_column"));
    for sql in ["drop table account", ACCOUNT] {
        replica.fixture.execute(sql).await;
    }
    replica
}

pub(super) async fn a_mended_table_is_noticed<F: Fixture>() {
    let mut replica = mended::<F>().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let answers = replica
        .apply(&[account(2, 0, "b"), account(3, 0, "c")])
        .await;
    assert_eq!(answers, [APPLIED, APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["b", "c"]);
}

/// Whoever has mended the table need not wait with the retry.
pub(super) async fn a_letter_is_judged_by_the_mended_table<F: Fixture>() {
    let mut replica = mended::<F>().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["a"]);
}

pub(super) async fn an_event_that_keeps_failing_becomes_a_dead_letter<F: Fixture>() {
    let model = table("account", TableModel::new("account", "id")).with_retry(attempts(3));
    let mut replica = Replica::<F>::new(&[ACCOUNT], [model]).await;
    let bad = Message::save("account", "1", 0, "\"qty\":1");
    assert_eq!(replica.one(&bad).await, retrying("missing_column"));
    for expected in [
        Applied::Retrying {
            attempts: 2,
            reason: "missing_column",
        },
        Applied::Dead {
            reason: "missing_column",
        },
    ] {
        assert_eq!(replica.due().await.applied, [expected]);
    }
    let due = replica.due().await;
    assert_eq!((due.applied.len(), due.next), (0, None));
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Dead, 3));
    assert_eq!(letter.next_attempt_at, None);
}

pub(super) async fn equal_failures_have_equal_fingerprints<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let without_name = |key: &str| Message::save("account", key, 0, "\"qty\":1");
    let other = Message::save("account", "3", 0, r#""name":"a","qty":"x""#);
    replica
        .apply(&[without_name("1"), without_name("2"), other])
        .await;
    let prints: Vec<_> = replica
        .letters()
        .await
        .into_iter()
        .map(|letter| letter.fingerprint.unwrap())
        .collect();
    assert_eq!(prints[0], prints[1]);
    assert_ne!(prints[0], prints[2]);
}

pub(super) async fn all_problems_of_all_models_are_reported_at_once<F: Fixture>() {
    let fixture = F::new().await;
    for sql in [
        ACCOUNT,
        "create table loose (id integer, v integer not null, w integer not null default 1) {strict}",
    ] {
        fixture.execute(sql).await;
    }
    let mapped = TableModel::new("loose", "id").with_columns([("a", "absent")]);
    let bad: Vec<Model<F::Store>> = vec![
        table("none", TableModel::new("no_such_table", "id")),
        table("loose", mapped),
        table("key", TableModel::new("account", "nokey")),
        table("good", TableModel::new("account", "id")),
    ];
    let mut session = fixture.session().await;
    let error = session
        .check_models(&Models::new(bad).unwrap())
        .await
        .unwrap_err();
    let StoreError::Schema { problem, .. } = &error else {
        panic!("{error:?}")
    };
    for part in [
        "model \"none\": there is no table \"no_such_table\"",
        "no unique index on (id)",
        "no column \"absent\" for \"a\"",
        "column \"v\" of table \"loose\" must have a value",
        "no column \"nokey\"",
    ] {
        assert!(problem.contains(part), "{part} is not in:\n{problem}");
    }
    assert!(
        !problem.contains("good") && !problem.contains("\"w\""),
        "{problem}"
    );
    let good = [table("good", TableModel::new("account", "id"))];
    session
        .check_models(&Models::new(good).unwrap())
        .await
        .unwrap();
}

pub(super) async fn a_failed_message_given_again_is_still_one_letter<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    for bad in [
        Message::save("account", "1", 0, "\"qty\":1"),
        Message::save("account", "2", 0, "\"qty\":1").id(7),
    ] {
        let first = replica.one(&bad).await;
        assert_eq!(first, retrying("missing_column"));
        assert_eq!(replica.one(&bad).await, first);
        assert_eq!(
            replica.apply(&[bad.clone(), bad]).await,
            [first.clone(), first]
        );
    }
    assert_eq!(replica.letters().await.len(), 2);
}

pub(super) async fn a_dead_message_given_again_is_still_one_letter<F: Fixture>() {
    let model = table("account", TableModel::new("account", "id")).with_retry(attempts(1));
    let mut replica = Replica::<F>::new(&[ACCOUNT], [model]).await;
    let bad = Message::save("account", "1", 0, "\"qty\":1").id(7);
    let dead = Applied::Dead {
        reason: "missing_column",
    };
    assert_eq!(
        replica.apply(&[bad.clone(), bad.clone()]).await,
        [dead.clone(), dead.clone()]
    );
    assert_eq!(replica.one(&bad).await, dead);
    let queue = replica.policy.queue.clone();
    assert_eq!(
        replica.session.letter_discard(&queue, None).await.unwrap(),
        1
    );
    assert_eq!(
        replica.one(&bad).await,
        Applied::Skipped(SkipReason::Duplicate)
    );
    assert_eq!(replica.letters().await.len(), 1);
}

/// Two transactions of a Django master can give two states the same revision; the newer one must
/// not be taken for the one that is kept.
pub(super) async fn an_equal_revision_is_not_the_same_message<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let bad = Message::save("account", "1", 2, "\"qty\":1")
        .django()
        .at(100);
    assert_eq!(replica.one(&bad).await, retrying("missing_column"));
    let newer = account(1, 2, "b").django().at(101);
    assert_eq!(replica.one(&newer).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["b"]);
    assert_eq!(replica.letters().await[0].state, LetterState::Superseded);
}
