//! Syncs: the current state once more.

use cqrs_replica::{Applied, Model, Models, SkipReason, TableModel, WaitReason};

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::{Message, account, gone},
    recorder::Script,
};

const NAMES: &str = "select name from account order by id";

fn sync(revision: i64, name: &str, id: u128) -> Message {
    Message::sync("account", "1", revision, &format!("\"name\":\"{name}\"")).id(id)
}

pub(super) async fn a_sync_repairs_the_row_of_its_revision<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 3, "a")).await;
    replica
        .fixture
        .execute("update account set name = 'damaged'")
        .await;
    assert_eq!(replica.one(&sync(3, "repaired", 1)).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["repaired"]);
    replica.fixture.execute("delete from account").await;
    assert_eq!(replica.one(&sync(3, "again", 2)).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["again"]);
}

pub(super) async fn the_same_sync_is_applied_once<F: Fixture>() {
    let mut replica = Replica::<F>::recording(&Script::default(), |model| model).await;
    replica.one(&account(1, 0, "a")).await;
    let message = sync(0, "s", 1);
    let duplicate = Applied::Skipped(SkipReason::Duplicate);
    assert_eq!(replica.one(&message).await, APPLIED);
    assert_eq!(
        replica.apply(&[message.clone(), message]).await,
        [duplicate.clone(), duplicate]
    );
    assert_eq_rows(&replica.seen().await, &["1|SAVE|0", "1|SYNC|0"]);
}

pub(super) async fn syncs_that_share_an_id_are_each_judged<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    for (revision, name) in [(3, "a"), (4, "b")] {
        assert_eq!(replica.one(&sync(revision, name, 1)).await, APPLIED);
    }
    assert_eq_rows(&replica.rows(NAMES).await, &["b"]);
}

pub(super) async fn a_sync_does_not_go_back_unless_allowed<F: Fixture>() {
    for downgrade in [false, true] {
        let model = table("account", TableModel::new("account", "id"));
        let model: Model<F::Store> = model.with_sync_downgrade(downgrade);
        let mut replica = Replica::<F>::new(&[ACCOUNT], [model]).await;
        replica.one(&account(1, 3, "new")).await;
        let answer = replica.one(&sync(2, "old", 1)).await;
        let expected = if downgrade {
            APPLIED
        } else {
            Applied::Skipped(SkipReason::Stale)
        };
        assert_eq!(answer, expected);
        let name = if downgrade { "old" } else { "new" };
        assert_eq_rows(&replica.rows(NAMES).await, &[name]);
    }
}

pub(super) async fn a_forced_sync_goes_back<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 3, "ahead")).await;
    let stale = Applied::Skipped(SkipReason::Stale);
    assert_eq!(replica.one(&sync(1, "lower", 1)).await, stale);
    let forced = sync(1, "restored", 2).forced();
    assert_eq!(replica.one(&forced).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["restored"]);
    let duplicate = Applied::Skipped(SkipReason::Duplicate);
    assert_eq!(replica.one(&forced).await, duplicate);
    // From there on revisions count as before.
    assert_eq!(replica.one(&account(1, 2, "next")).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["next"]);
    replica.one(&gone(1, 3)).await;
    let deleted = Applied::Skipped(SkipReason::Deleted);
    assert_eq!(replica.one(&sync(2, "dead", 3).forced()).await, deleted);
}

/// What could not be applied is judged again by all that came with it.
pub(super) async fn a_forced_sync_stays_forced_as_a_letter<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 3, "ahead")).await;
    let broken = Message::sync("account", "1", 1, "\"name\":\"x\",\"qty\":\"many\"");
    let answer = replica.one(&broken.id(1).forced()).await;
    assert!(matches!(answer, Applied::Retrying { .. }), "{answer:?}");
    replica
        .fixture
        .execute("update cqrs_dead_letter set next_attempt_at = created_at")
        .await;
    let again = replica.due().await.applied;
    assert!(
        matches!(again[..], [Applied::Retrying { attempts: 2, .. }]),
        "{again:?}"
    );
}

pub(super) async fn a_sync_does_not_bring_back_the_dead<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.apply(&[account(1, 0, "a"), gone(1, 1)]).await;
    let deleted = Applied::Skipped(SkipReason::Deleted);
    assert_eq!(replica.one(&sync(1, "s", 1)).await, deleted);
    assert_eq!(replica.one(&sync(2, "s", 2)).await, APPLIED);
    assert_eq_rows(&replica.rows(NAMES).await, &["s"]);
}

pub(super) async fn only_direct_syncs_are_applied_where_that_is_asked_for<F: Fixture>() {
    let model = table("account", TableModel::new("account", "id"));
    let model: Model<F::Store> = model.with_only_direct_syncs(true);
    let mut replica = Replica::<F>::new(&[ACCOUNT], [model]).await;
    let broadcast = Applied::Skipped(SkipReason::BroadcastSync);
    let answers = replica
        .apply(&[
            account(1, 0, "a"),
            sync(0, "all", 1),
            sync(0, "one", 2).direct("billing"),
            account(2, 0, "b"),
            gone(2, 1),
        ])
        .await;
    assert_eq!(answers[1], broadcast);
    assert_eq_rows(&replica.rows(NAMES).await, &["one"]);
    // The broadcast has left no trace: the same message, sent directly, is new.
    assert_eq!(
        replica.one(&sync(0, "same", 1).direct("billing")).await,
        APPLIED
    );
    assert_eq_rows(&replica.rows(NAMES).await, &["same"]);
    assert!(replica.letters().await.is_empty());
}

pub(super) async fn a_sync_that_waited_is_judged_by_how_it_came<F: Fixture>() {
    let mut replica = Replica::<F>::new(&[ACCOUNT], []).await;
    let other = |message: Message| Message {
        key: "2".to_owned(),
        ..message
    };
    let unknown = Applied::Waiting(WaitReason::UnknownModel);
    let answers = replica
        .apply(&[
            sync(0, "all", 1),
            other(sync(0, "one", 2)).direct("billing"),
        ])
        .await;
    assert_eq!(answers, [unknown.clone(), unknown]);
    let model = table("account", TableModel::new("account", "id"));
    let model: Model<F::Store> = model.with_only_direct_syncs(true);
    replica.models = Models::new([model]).unwrap();
    assert_eq!(
        replica.due().await.applied,
        [Applied::Skipped(SkipReason::BroadcastSync), APPLIED]
    );
    assert_eq_rows(&replica.rows(NAMES).await, &["one"]);
}
