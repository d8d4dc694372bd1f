//! Rows that refer to other rows wait for them, and hold back nobody else.

use std::time::Duration;

use chrono::TimeDelta;
use cqrs_core::{Clock, SystemClock};
use cqrs_replica::{
    Applied, Letter, LetterState, Model, ReplicaSession, ReplicaStore, SkipReason, TableModel,
    WaitReason,
};
use tokio::task::JoinSet;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, attempts, table},
    message::{Message, account, gone},
    recorder::{Script, recorded},
};

const WAITS: Applied = Applied::Waiting(WaitReason::Reference);
const NOTE: &str = "create table note (id integer primary key,
                    account integer not null references account (id)) {strict}";
const LINE: &str = "create table line (id integer primary key,
                    note integer references note (id)) {strict}";
const NOTES: &str = "select cast(id as text), cast(account as text) from note order by id";

fn models<S: ReplicaStore>() -> [Model<S>; 3] {
    ["account", "note", "line"].map(|name| {
        let model = TableModel::new(name, "id");
        table(name, model).with_retry(attempts(1))
    })
}

async fn replica<F: Fixture>() -> Replica<F> {
    Replica::new(&[ACCOUNT, NOTE, LINE], models()).await
}

fn note(key: i64, revision: i64, account: i64) -> Message {
    let data = format!("\"account\":{account}");
    Message::save("note", &key.to_string(), revision, &data)
}

fn line(key: i64, note: i64) -> Message {
    Message::save("line", &key.to_string(), 0, &format!("\"note\":{note}"))
}

impl<F: Fixture> Replica<F> {
    /// What is due now, until there is no more; how many took effect.
    pub(super) async fn drain(&mut self) -> usize {
        let mut applied = 0;
        loop {
            let due = self.due().await;
            if due.applied.is_empty() {
                return applied;
            }
            applied += due.applied.iter().filter(|a| **a == APPLIED).count();
        }
    }

    async fn letter(&mut self) -> Letter {
        let mut letters = self.letters().await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters.remove(0)
    }

    /// Lets all waits end.
    async fn end_waits(&self) {
        let sql =
            "update cqrs_dead_letter set waits_until = created_at, next_attempt_at = created_at
                   where next_attempt_at is not null";
        self.fixture.execute(sql).await;
    }
}

pub(super) async fn a_row_waits_for_the_one_it_refers_to<F: Fixture>() {
    let mut replica = replica::<F>().await;
    assert_eq!(replica.one(&note(9, 0, 1)).await, WAITS);
    let letter = replica.letter().await;
    assert_eq!(
        (letter.state, letter.reason.as_str(), letter.attempts),
        (LetterState::Waiting, "reference", 0)
    );
    assert_eq!(letter.waits_for.as_deref(), Some("account 1"));
    // It is not tried before its time.
    assert_eq!(replica.due().await.applied, []);
    assert!(!replica.session.has_woken());
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    assert!(replica.session.has_woken());
    assert!(!replica.session.has_woken());
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.rows(NOTES).await, &["9|1"]);
    assert_eq!(replica.letters().await.len(), 0);
}

pub(super) async fn a_parent_wakes_those_that_wait_for_it_and_no_others<F: Fixture>() {
    let mut replica = replica::<F>().await;
    let notes = [note(1, 0, 1), note(2, 0, 2), note(3, 0, 1)];
    assert_eq!(replica.apply(&notes).await, [WAITS, WAITS, WAITS]);
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(replica.due().await.applied, [APPLIED, APPLIED]);
    assert_eq!(
        replica.letter().await.waits_for.as_deref(),
        Some("account 2")
    );
}

pub(super) async fn a_batch_goes_on_without_those_that_wait<F: Fixture>() {
    let mut replica = replica::<F>().await;
    let batch = [
        note(1, 0, 1),
        note(2, 0, 7),
        line(1, 1),
        // Waits for what waits.
        line(2, 2),
        account(1, 0, "a"),
    ];
    assert_eq!(
        replica.apply(&batch).await,
        [APPLIED, WAITS, APPLIED, WAITS, APPLIED]
    );
    replica.one(&account(7, 0, "b")).await;
    assert_eq!(replica.drain().await, 2);
    assert_eq_rows(&replica.rows(NOTES).await, &["1|1", "2|7"]);
    let lines = "select cast(note as text) from line order by id";
    assert_eq_rows(&replica.rows(lines).await, &["1", "2"]);
}

pub(super) async fn one_batch_may_hold_parents_and_children_in_any_order<F: Fixture>() {
    let mut replica = replica::<F>().await;
    let batch = [line(1, 9), note(9, 0, 1), account(1, 0, "a")];
    assert_eq!(replica.apply(&batch).await, [APPLIED, APPLIED, APPLIED]);
    let batch = [
        gone(1, 1),
        Message::delete("note", "9", 1),
        Message::delete("line", "1", 1),
    ];
    assert_eq!(replica.apply(&batch).await, [APPLIED, APPLIED, APPLIED]);
    assert_eq_rows(&replica.rows(NOTES).await, &[]);
    assert_eq!(replica.letters().await.len(), 0);
}

pub(super) async fn a_row_without_a_reference_waits_for_nothing<F: Fixture>() {
    let mut replica = replica::<F>().await;
    let unattached = Message::save("line", "1", 0, "\"note\":null");
    assert_eq!(
        replica.apply(&[unattached, line(2, 5)]).await,
        [APPLIED, WAITS]
    );
    let silent = Message::save("line", "3", 0, "");
    assert_eq!(replica.one(&silent).await, APPLIED);
}

pub(super) async fn a_row_may_refer_to_its_own_table<F: Fixture>() {
    let create = "create table node (id integer primary key,
                  parent integer references node (id)) {strict}";
    let model = table("node", TableModel::new("node", "id"));
    let mut replica = Replica::<F>::new(&[create], [model]).await;
    let node =
        |key: &str, parent: &str| Message::save("node", key, 0, &format!("\"parent\":{parent}"));
    assert_eq!(replica.one(&node("5", "5")).await, APPLIED);
    replica
        .apply(&[node("3", "2"), node("2", "1"), node("1", "null")])
        .await;
    replica.drain().await;
    assert_eq_rows(
        &replica
            .rows("select cast(parent as text) from node order by id")
            .await,
        &["-", "1", "2", "5"],
    );
    assert_eq!(replica.letters().await.len(), 0);
}

pub(super) async fn keys_of_several_columns_are_waited_for<F: Fixture>() {
    let parent = "create table place (land text, town {bigint}, primary key (town, land)) {strict}";
    let child = "create table house (id {uuid} primary key, t {bigint}, l text,
                 foreign key (l, t) references place (land, town)) {strict}";
    let models = [
        table(
            "place",
            TableModel::new("place", "").with_key(["land", "town"]),
        ),
        table("house", TableModel::new("house", "id")),
    ];
    let mut replica = Replica::<F>::new(&[parent, child], models).await;
    let id = "\"0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11\"";
    let house = Message::save("house", id, 0, r#""t":12,"l":"x y""#);
    assert_eq!(replica.one(&house).await, WAITS);
    assert_eq!(
        replica.letter().await.waits_for.as_deref(),
        Some("place [\"x y\",12]")
    );
    let place = Message::save("place", r#"["x y", 12]"#, 0, "");
    assert_eq!(replica.one(&place).await, APPLIED);
    assert_eq!(replica.due().await.applied, [APPLIED]);
}

pub(super) async fn a_deferred_key_is_waited_for_too<F: Fixture>() {
    let create = "create table note (id integer primary key, account integer not null
                  references account (id) deferrable initially deferred) {strict}";
    let mut replica = Replica::<F>::new(&[ACCOUNT, create, LINE], models()).await;
    let batch = [note(1, 0, 1), note(2, 0, 2), account(2, 0, "b")];
    assert_eq!(replica.apply(&batch).await, [WAITS, APPLIED, APPLIED]);
    assert_eq!(
        replica.letter().await.waits_for.as_deref(),
        Some("account 1")
    );
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    // The delete of a parent is refused at the end, too.
    assert_eq!(replica.one(&gone(1, 1)).await, WAITS);
}

pub(super) async fn a_parent_that_never_comes_ends_the_wait<F: Fixture>() {
    let mut replica = replica::<F>().await;
    assert_eq!(replica.one(&note(9, 0, 712)).await, WAITS);
    // Looking at it again does not begin the wait anew.
    let before = waits_until(&replica).await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [WAITS]);
    assert_eq!(waits_until(&replica).await, before);
    replica.end_waits().await;
    let dead = Applied::Dead {
        reason: "reference",
    };
    assert_eq!(replica.due().await.applied, [dead]);
    let letter = replica.letter().await;
    assert_eq!(
        (letter.state, letter.next_attempt_at, letter.waits_for),
        (LetterState::Dead, None, None)
    );
    let error = letter.error.unwrap();
    for part in ["column \"account\"", "by (\"id\")", ": 712"] {
        assert!(error.contains(part), "{error}");
    }
    // Whoever retries it lets it wait once more.
    let queue = replica.policy.queue.clone();
    let retried = replica.session.letter_retry(&queue, None).await.unwrap();
    assert_eq!(retried, 1);
    assert_eq!(replica.due().await.applied, [WAITS]);
    assert_eq!(replica.letter().await.attempts, 0);
    replica.one(&account(712, 0, "a")).await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
}

async fn waits_until<F: Fixture>(replica: &Replica<F>) -> Vec<String> {
    replica
        .rows("select cast(waits_until as text) from cqrs_dead_letter")
        .await
}

pub(super) async fn a_circle_of_references_ends_in_dead_letters<F: Fixture>() {
    let models = || ["hen", "egg"].map(|name| table(name, TableModel::new(name, "id")));
    let hen = Message::save("hen", "1", 0, "\"egg\":1");
    let egg = Message::save("egg", "1", 0, "\"hen\":1");
    let mut replica = Replica::<F>::new(&[], models()).await;
    F::circle(&replica.fixture, "").await;
    let batch = [hen.clone(), egg.clone(), Message::raw(b"x")];
    let answers = replica.apply(&batch).await;
    assert_eq!(answers[..2], [WAITS, WAITS]);
    replica.end_waits().await;
    let dead = Applied::Dead {
        reason: "reference",
    };
    assert_eq!(replica.due().await.applied, [dead.clone(), dead]);

    let mut replica = Replica::<F>::new(&[], models()).await;
    F::circle(&replica.fixture, "deferrable initially deferred").await;
    assert_eq!(replica.apply(&[hen, egg]).await, [APPLIED, APPLIED]);
}

pub(super) async fn a_delete_waits_for_the_rows_that_refer_to_it<F: Fixture>() {
    for rule in ["", "on delete restrict"] {
        let create = format!(
            "create table note (id integer primary key,
             account integer not null references account (id) {rule}) {{strict}}"
        );
        let mut replica = Replica::<F>::new(&[ACCOUNT, &create, LINE], models()).await;
        replica.apply(&[account(1, 0, "a"), note(9, 0, 1)]).await;
        assert_eq!(replica.one(&gone(1, 1)).await, WAITS);
        let letter = replica.letter().await;
        assert_eq!(letter.waits_for.as_deref(), Some("note 9"));
        let error = letter.error.unwrap();
        assert!(error.contains("still refer"), "{error}");
        assert_eq!(replica.due().await.applied, []);
        replica.one(&Message::delete("note", "9", 1)).await;
        assert_eq!(replica.due().await.applied, [APPLIED]);
        let rows = replica.rows("select name from account").await;
        assert_eq_rows(&rows, &[]);
    }
}

pub(super) async fn the_rule_of_the_table_decides_about_a_delete<F: Fixture>() {
    for (rule, left) in [("cascade", vec![]), ("set null", vec!["9|-"])] {
        let create = format!(
            "create table note (id integer primary key,
             account integer references account (id) on delete {rule}) {{strict}}"
        );
        let mut replica = Replica::<F>::new(&[ACCOUNT, &create, LINE], models()).await;
        replica.apply(&[account(1, 0, "a"), note(9, 0, 1)]).await;
        assert_eq!(replica.one(&gone(1, 1)).await, APPLIED);
        assert_eq_rows(&replica.rows(NOTES).await, &left);
    }
}

/// A row that moves to another parent before the old one is deleted is not taken by its cascade, with what
/// only this table knows of it.
pub(super) async fn a_row_that_has_moved_does_not_go_with_its_old_parent<F: Fixture>() {
    const MARKED: &str = "create table note (id integer primary key, mark text,
        account integer not null references account (id) on delete cascade) {strict}";
    let mut replica = Replica::<F>::new(&[ACCOUNT, MARKED, LINE], models()).await;
    let before = [account(1, 0, "a"), account(2, 0, "b"), note(9, 0, 1)];
    replica.apply(&before).await;
    replica
        .fixture
        .execute("update note set mark = 'own'")
        .await;
    let answers = replica.apply(&[note(9, 1, 2), gone(1, 1)]).await;
    assert_eq!(answers, [APPLIED, APPLIED]);
    let notes = replica
        .rows("select cast(account as text), mark from note")
        .await;
    assert_eq_rows(&notes, &["2|own"]);
    // A second life keeps nothing of the first, its children neither.
    let answers = replica.apply(&[gone(2, 1), account(2, 2, "again")]).await;
    assert_eq!(answers, [Applied::Skipped(SkipReason::Overtaken), APPLIED]);
    assert_eq_rows(&replica.rows(NOTES).await, &[]);
}

pub(super) async fn a_later_state_supersedes_the_waiting_one<F: Fixture>() {
    let mut replica = replica::<F>().await;
    replica.one(&account(2, 0, "b")).await;
    let answers = replica.apply(&[note(9, 0, 1), note(9, 1, 2)]).await;
    assert_eq!(answers, [Applied::Skipped(SkipReason::Overtaken), APPLIED]);
    assert_eq!(replica.one(&note(8, 0, 1)).await, WAITS);
    assert_eq!(replica.one(&note(8, 1, 2)).await, APPLIED);
    let superseded = (LetterState::Superseded, "reference".to_owned());
    assert_eq!(replica.letter_states().await, [superseded]);
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(replica.drain().await, 0);
    assert_eq_rows(&replica.rows(NOTES).await, &["8|2", "9|2"]);
}

pub(super) async fn a_waiting_message_given_again_is_one_letter<F: Fixture>() {
    let mut replica = replica::<F>().await;
    for message in [note(1, 0, 1), note(2, 0, 1).id(7)] {
        let twice = [message.clone(), message.clone()];
        assert_eq!(replica.apply(&twice).await, [WAITS, WAITS]);
        assert_eq!(replica.one(&message).await, WAITS);
    }
    assert_eq!(replica.letters().await.len(), 2);
}

pub(super) async fn a_row_that_no_model_writes_is_looked_for<F: Fixture>() {
    let [_, note_model, _] = models();
    let mut replica = Replica::<F>::new(&[ACCOUNT, NOTE], [note_model]).await;
    let batch = [note(1, 0, 1), note(2, 0, 2)];
    assert_eq!(replica.apply(&batch).await, [WAITS, WAITS]);
    for letter in replica.letters().await {
        assert_eq!(letter.waits_for, None);
        let pause = letter.next_attempt_at.unwrap() - letter.updated_at;
        assert!(pause < TimeDelta::seconds(1), "{pause}");
        assert!(letter.error.unwrap().contains("\"account\""));
    }
    let insert = "insert into account values (1, 'by hand', 1)";
    replica.fixture.execute(insert).await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED, WAITS]);
    // The longer it has waited, the longer the pause.
    replica.policy.reference_wait += Duration::from_secs(1);
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [WAITS]);
    let letter = replica.letter().await;
    let pause = letter.next_attempt_at.unwrap() - letter.updated_at;
    assert!(pause >= TimeDelta::milliseconds(900), "{pause}");
}

pub(super) async fn a_handlers_row_waits_too<F: Fixture>() {
    let seen = "create table seen
        (n {serial}, cqrs_id text not null, instance_pk text not null references allowed (pk),
         revision bigint not null, signal text not null)"
        .replace("bigint", "{bigint}");
    let allowed = "create table allowed (pk text primary key) {strict}";
    let script = Script::default();
    let models = [recorded::<F>("account", &script)];
    let mut replica = Replica::<F>::new(&[allowed, &seen], models).await;
    replica
        .fixture
        .execute("insert into allowed values ('2')")
        .await;
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    assert_eq!(answers, [WAITS, APPLIED]);
    // What comes after it waits for its turn, as behind any letter.
    assert_eq!(
        replica.one(&account(1, 1, "c")).await,
        Applied::Waiting(WaitReason::Gap)
    );
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.attempts, letter.waits_for), (0, None));
    replica
        .fixture
        .execute("insert into allowed values ('1')")
        .await;
    replica.make_due().await;
    assert_eq!(replica.drain().await, 2);
    assert_eq_rows(&replica.seen().await, &["2|SAVE|0", "1|SAVE|0", "1|SAVE|1"]);
}

pub(super) async fn a_handlers_row_may_be_refused_at_the_end<F: Fixture>() {
    let seen = "create table seen
        (n {serial}, cqrs_id text not null, instance_pk text not null
         references allowed (pk) deferrable initially deferred,
         revision {bigint} not null, signal text not null)";
    let allowed = "create table allowed (pk text primary key) {strict}";
    let insert = |key: &str| format!("insert into allowed values ('{key}')");
    let models = [recorded::<F>("account", &Script::default())];
    let mut replica = Replica::<F>::new(&[allowed, seen, &insert("2")], models).await;
    let batch = [account(1, 0, "a"), account(2, 0, "b")];
    assert_eq!(replica.apply(&batch).await, [WAITS, APPLIED]);
    replica.fixture.execute(&insert("1")).await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
}

pub(super) async fn without_a_wait_attempts_count<F: Fixture>() {
    let mut replica = replica::<F>().await;
    replica.policy.reference_wait = Duration::ZERO;
    let dead = Applied::Dead {
        reason: "reference",
    };
    assert_eq!(replica.one(&note(9, 0, 1)).await, dead);
    assert_eq!(replica.letter().await.attempts, 1);
}

pub(super) async fn a_parent_with_many_children_wakes_them_in_portions<F: Fixture>() {
    let mut replica = replica::<F>().await;
    let notes: Vec<Message> = (0..1_200).map(|key| note(key, 0, 1)).collect();
    replica.apply(&notes).await;
    assert_eq!(replica.letters().await.len(), 1_000);
    replica.one(&account(1, 0, "a")).await;
    assert_eq!(replica.drain().await, 1_200);
    assert_eq!(replica.letters().await.len(), 0);
}

/// Whenever the parent comes, before the child is looked at, while or after it: it is not missed.
pub(super) async fn no_parent_comes_unnoticed<F: Fixture>() {
    const FAMILIES: i64 = 60;
    let mut replica = replica::<F>().await;
    let mut other = replica.fixture.session().await;
    let (models, policy) = (replica.models.clone(), replica.policy.clone());
    let mut parents = JoinSet::new();
    parents.spawn(async move {
        for key in 0..FAMILIES {
            let batch = [account(key, 0, "a").incoming()];
            other.apply(&models, &policy, &batch).await.unwrap();
        }
    });
    for key in 0..FAMILIES {
        let batch = [note(key, 0, key), line(key, key)];
        // Where transactions are in each other's way, a lane tries again.
        while replica.try_apply(&batch).await.is_err() {}
    }
    parents.join_next().await.unwrap().unwrap();
    loop {
        replica.drain().await;
        let letters = replica.letters().await;
        if letters.is_empty() {
            break;
        }
        // One that was missed would not be looked at for 5 s.
        let soon = SystemClock.now() + TimeDelta::seconds(3);
        let is_open = |instance: &str| {
            letters.iter().any(|letter| {
                let (id, key) = (letter.cqrs_id.as_deref(), letter.instance_pk.as_deref());
                id.zip(key)
                    .is_some_and(|(id, key)| format!("{id} {key}") == instance)
            })
        };
        let missed = letters
            .iter()
            .filter(|letter| !letter.waits_for.as_deref().is_some_and(is_open))
            .find(|letter| letter.next_attempt_at.is_none_or(|next| next > soon));
        assert!(missed.is_none(), "{missed:?}");
    }
    let count = "select cast(count(*) as text) from line join note on note.id = line.note";
    assert_eq_rows(&replica.rows(count).await, &[&FAMILIES.to_string()]);
}
