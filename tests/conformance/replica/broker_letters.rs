//! Letters that come from the broker's queue of dead letters, and that go to it.

use std::time::Duration;

use cqrs_core::CqrsId;
use cqrs_replica::{
    Applied, Imported, LetterState, Model, ReplicaSession, TableModel, UnpublishedLetter,
};
use uuid::Uuid;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, attempts, id, table},
    message::{Message, account},
};

const HOLD: Duration = Duration::from_mins(1);
const NAMES: &str = "select name from account order by id";

fn dead(message: Message) -> Message {
    message.direct("dead_letter_billing")
}

/// An account that no table takes.
fn wrong(key: i64, revision: i64) -> Message {
    let data = format!("\"id\":{key},\"name\":null,\"qty\":1");
    Message::save("account", &key.to_string(), revision, &data)
}

impl<F: Fixture> Replica<F> {
    async fn import(&mut self, messages: &[Message], retry: bool) -> Imported {
        let messages = messages.iter().map(Message::incoming).collect();
        self.session
            .letter_import(&self.policy.queue, messages, retry)
            .await
            .unwrap()
    }

    async fn unpublished(&mut self, cqrs_ids: &[CqrsId], hold: Duration) -> Vec<UnpublishedLetter> {
        self.session
            .letters_to_publish(&self.policy.queue, cqrs_ids, hold, 10)
            .await
            .unwrap()
    }

    async fn published(&mut self, letters: &[(i64, Uuid)]) {
        self.session
            .letters_published(&self.policy.queue, letters)
            .await
            .unwrap();
    }

    /// One try, and nothing after it.
    async fn once() -> Self {
        let model: Model<F::Store> = table("account", TableModel::new("account", "id"));
        Self::new(&[ACCOUNT], [model.with_retry(attempts(1))]).await
    }
}

const fn imported(new: u64, known: u64) -> Imported {
    Imported { new, known }
}

pub(super) async fn an_imported_message_is_a_dead_letter<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let garbage = Message::raw(b"\xff");
    let messages = [
        dead(account(1, 0, "a")).retries(30).id(1),
        dead(account(2, 0, "b")).django(),
        garbage,
    ];
    assert_eq!(replica.import(&messages, false).await, imported(3, 0));
    let letters = replica.letters().await;
    assert!(
        letters
            .iter()
            .all(|letter| letter.state == LetterState::Dead && letter.reason == "imported"),
        "{letters:?}"
    );
    assert_eq!(letters[0].attempts, 30);
    assert_eq!(letters[0].instance_pk.as_deref(), Some("1"));
    assert_eq!(letters[0].routing_key, "cqrs.dead_letter_billing.account");
    assert_eq!(&letters[2].body[..], b"\xff");
    // The same once more: known by its id, or by its body.
    assert_eq!(replica.import(&messages, false).await, imported(0, 3));
    assert!(replica.due().await.applied.is_empty());
    let ids = [letters[0].id, letters[1].id];
    let retried = replica
        .session
        .letter_retry(&replica.policy.queue, Some(&ids))
        .await;
    assert_eq!(retried.unwrap(), 2);
    assert_eq!(replica.due().await.applied, [APPLIED, APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["a", "b"]);
    assert_eq!(replica.import(&messages, false).await, imported(0, 3));
    assert_eq!(replica.letters().await.len(), 3);
}

pub(super) async fn imported_messages_that_share_an_id_are_each_kept<F: Fixture>() {
    let mut replica = Replica::<F>::once().await;
    replica.one(&wrong(1, 0).id(1)).await;
    let messages = [
        dead(wrong(1, 0)).retries(30).id(1),
        dead(wrong(1, 1)).id(1),
        dead(account(2, 0, "b")).id(1),
        Message::raw(b"\xfe").id(1),
        Message::raw(b"\xff").id(1),
    ];
    // The first is a letter here: how often it was tried is no part of what it is.
    assert_eq!(replica.import(&messages, false).await, imported(4, 1));
    assert_eq!(replica.import(&messages, false).await, imported(0, 5));
    // Only what is imported is tried again.
    let one = std::slice::from_ref(&messages[2]);
    assert_eq!(replica.import(one, true).await, imported(0, 1));
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["b"]);
}

pub(super) async fn an_import_may_be_retried_at_once<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    // Long past its time to live; but someone wants it.
    let first = dead(account(1, 0, "a")).expires("2020-01-01T00:00:00+00:00");
    let second = dead(account(2, 0, "b")).id(2);
    assert_eq!(
        replica.import(std::slice::from_ref(&second), false).await,
        imported(1, 0)
    );
    let both = [first, second, dead(Message::raw(b"\xff"))];
    assert_eq!(replica.import(&both, true).await, imported(2, 1));
    // Given twice while it is due: it is one letter all the same.
    assert_eq!(replica.import(&both, true).await, imported(0, 3));
    let applied = replica.due().await.applied;
    assert_eq!(applied, [APPLIED, APPLIED]);
    let unreadable = replica.letters().await.pop().unwrap();
    assert_eq!(unreadable.state, LetterState::Dead);
    assert_eq_rows(&replica.rows(NAMES).await, &["a", "b"]);
}

pub(super) async fn dead_letters_are_held_by_who_publishes_them<F: Fixture>() {
    let mut replica = Replica::<F>::once().await;
    replica
        .apply(&[wrong(1, 0), account(2, 0, "b"), wrong(3, 0)])
        .await;
    let ids = [id("account")];
    assert!(replica.unpublished(&[id("other")], HOLD).await.is_empty());
    // Held for no time: whoever took them has died.
    assert_eq!(replica.unpublished(&ids, Duration::ZERO).await.len(), 2);
    let taken = replica.unpublished(&ids, HOLD).await;
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0].attempts, 1);
    assert_eq!(taken[0].incoming.routing_key, "account");
    assert!(replica.unpublished(&ids, HOLD).await.is_empty());
    let published: Vec<_> = taken
        .iter()
        .map(|letter| (letter.id, Uuid::from_u128(7)))
        .collect();
    replica.published(&published[..1]).await;
    let letters = replica.letters().await;
    assert!(letters[0].published_at.is_some() && letters[1].published_at.is_none());
    assert_eq!(letters[0].message_id, Some(Uuid::from_u128(7)));
    // It comes back under that id, and is known.
    let back = dead(wrong(1, 0)).id(7);
    assert_eq!(replica.import(&[back], false).await, imported(0, 1));
}

pub(super) async fn one_that_dies_again_is_published_again<F: Fixture>() {
    let mut replica = Replica::<F>::once().await;
    replica.one(&wrong(1, 0)).await;
    let ids = [id("account")];
    let first = replica.unpublished(&ids, HOLD).await.remove(0);
    replica.published(&[(first.id, Uuid::from_u128(1))]).await;
    assert!(replica.unpublished(&ids, HOLD).await.is_empty());
    let queue = replica.policy.queue.clone();
    replica.session.letter_retry(&queue, None).await.unwrap();
    assert!(replica.unpublished(&ids, HOLD).await.is_empty());
    let died = [Applied::Dead {
        reason: "constraint",
    }];
    assert_eq!(replica.due().await.applied, died);
    assert_eq!(replica.unpublished(&ids, HOLD).await[0].id, first.id);
    // What was imported from there is there no more, and is not sent back.
    let other = dead(account(5, 0, "e")).id(5);
    assert_eq!(replica.import(&[other], false).await, imported(1, 0));
    assert!(replica.unpublished(&ids, HOLD).await.is_empty());
    // Unless it is tried here, and dies once more.
    let third = dead(wrong(6, 0)).id(6);
    assert_eq!(replica.import(&[third], true).await, imported(1, 0));
    assert_eq!(replica.due().await.applied, died);
    assert_eq!(replica.unpublished(&ids, HOLD).await.len(), 1);
}
