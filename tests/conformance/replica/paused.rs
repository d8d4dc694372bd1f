//! A fault that all messages of a model share is the model's: it waits, and nothing is counted.

use std::time::Duration;

use cqrs_replica::{Applied, LetterState, ReplicaSession, TableModel, WaitReason};
use cqrs_tests::wait::{Seen, until};

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::{Message, account, gone},
};

pub(super) const PAUSED: Applied = Applied::Waiting(WaitReason::Paused);
const NOTE: &str = "create table note (id integer primary key, text text) {strict}";
const ROWS: &str = "select id || ' ' || name from account order by id";

fn note(id: i64) -> Message {
    Message::save("note", &id.to_string(), 0, "\"text\":\"x\"")
}

pub(super) async fn replica<F: Fixture>() -> Replica<F> {
    let columns = [("name", "name"), ("qty", "qty")];
    let models = [
        table(
            "account",
            TableModel::new("account", "id").with_columns(columns),
        ),
        table("note", TableModel::new("note", "id")),
    ];
    Replica::new(&[ACCOUNT, NOTE], models).await
}

/// Looks after letters until none is left but `left`.
pub(super) async fn works_off<F: Fixture>(replica: &mut Replica<F>, left: usize) {
    let replica = tokio::sync::Mutex::new(replica);
    until("letters worked off", Duration::from_mins(1), async || {
        let mut replica = replica.lock().await;
        replica.due().await;
        let letters = replica.letters().await.into_iter();
        // One that a later state has overtaken is done with.
        let open = letters.filter(|letter| letter.state != LetterState::Superseded);
        Ok(Seen::equal(&open.count(), &left))
    })
    .await
    .unwrap();
}

/// Every row ten times: saves, updates, deletes; a row of another model among each two.
pub(super) async fn goes_on_when_mended<F: Fixture>(
    mut replica: Replica<F>,
    broken: &str,
    mended: &str,
    error: &str,
) {
    replica.one(&account(1, 0, "before")).await;
    replica.fixture.execute(broken).await;
    for revision in 1..=10 {
        let mut batch = Vec::new();
        for id in 1..=100 {
            batch.push(match (id % 10, revision) {
                (0, 10) => gone(id, revision),
                _ => account(id, revision, &format!("{id}-{revision}")),
            });
            batch.push(note(id * 100 + revision));
        }
        for (at, answer) in replica.apply(&batch).await.into_iter().enumerate() {
            assert_eq!(answer, if at % 2 == 0 { PAUSED } else { APPLIED }, "{at}");
        }
    }
    let notes = "select cast(count(*) as text) from note";
    assert_eq_rows(&replica.rows(notes).await, &["1000"]);
    // Looks at what is due change nothing.
    for _ in 0..3 {
        replica.due().await;
    }
    let letters = replica.letters().await;
    assert_eq!(letters.len(), 1000);
    for letter in letters {
        assert_eq!((letter.state, letter.attempts), (LetterState::Waiting, 0));
        assert_eq!(letter.reason, "paused");
    }
    let queue = replica.policy.queue.clone();
    let status = replica.session.status(&queue).await.unwrap();
    let [paused] = &status.waiting_models[..] else {
        panic!("{status:?}");
    };
    assert!(
        paused.is_paused && paused.cqrs_id == "account",
        "{paused:?}"
    );
    let told = paused.error.as_deref().unwrap();
    assert!(told.contains(error), "{told}");

    replica.fixture.execute(mended).await;
    works_off(&mut replica, 0).await;
    let expected: Vec<String> = (1..=100)
        .filter(|id| id % 10 != 0)
        .map(|id| format!("{id} {id}-10"))
        .collect();
    assert_eq!(replica.rows(ROWS).await, expected);
    let status = replica.session.status(&queue).await.unwrap();
    assert!(
        status.waiting_models.is_empty() && status.dead == 0,
        "{status:?}"
    );
    assert_eq!(replica.one(&account(1, 11, "after")).await, APPLIED);
}

pub(super) async fn a_model_whose_column_is_missing_goes_on_when_it_is_back<F: Fixture>() {
    goes_on_when_mended(
        replica::<F>().await,
        "alter table account rename column qty to quantity",
        "alter table account rename column quantity to qty",
        "qty",
    )
    .await;
}

pub(super) async fn a_model_whose_table_is_gone_goes_on_when_it_is_back<F: Fixture>() {
    goes_on_when_mended(
        replica::<F>().await,
        "alter table account rename to moved",
        "alter table moved rename to account",
        "account",
    )
    .await;
}

/// What a worker kept, any other one takes up.
pub(super) async fn another_session_takes_up_what_was_kept<F: Fixture>() {
    let mut replica = replica::<F>().await;
    replica.fixture.execute("drop table account").await;
    let batch: Vec<Message> = (1..=20).map(|id| account(id, 0, "a")).collect();
    assert!(
        replica
            .apply(&batch)
            .await
            .iter()
            .all(|answer| *answer == PAUSED)
    );
    let mut other = replica_of(replica).await;
    other.fixture.execute(ACCOUNT).await;
    assert_eq!(other.due().await.applied, [APPLIED; 20]);
    assert!(other.letters().await.is_empty());
}

/// The same database, with models that know nothing of the pause.
async fn replica_of<F: Fixture>(replica: Replica<F>) -> Replica<F> {
    let model = table("account", TableModel::new("account", "id"));
    Replica {
        session: replica.fixture.session().await,
        models: cqrs_replica::Models::new([model]).unwrap(),
        policy: replica.policy,
        fixture: replica.fixture,
    }
}
