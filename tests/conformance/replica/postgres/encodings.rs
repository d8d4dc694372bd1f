//! A database that cannot hold all texts.

use cqrs_replica::{Applied, LetterState, Models, ReplicaSession, TableModel};
use cqrs_tests::postgres::TestDatabase;
use sqlx::postgres::PgPoolOptions;

use super::{
    super::{
        fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, policy, table},
        message::{Message, account},
    },
    Database,
};

const NOTE: &str = "create table note (id text primary key, body text)";

/// A replica in a database whose texts are in Latin-1.
async fn latin1() -> Replica<Database> {
    let database = TestDatabase::create_latin1().await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect(database.url())
        .await
        .unwrap();
    let fixture = Database { database, pool };
    fixture.migrate().await.unwrap();
    for sql in [ACCOUNT, NOTE] {
        fixture.execute(sql).await;
    }
    let models = [
        table("account", TableModel::new("account", "id")),
        table("note", TableModel::new("note", "id")),
    ];
    Replica {
        session: fixture.session().await,
        models: Models::new(models).unwrap(),
        policy: policy(),
        fixture,
    }
}

#[tokio::test]
async fn a_key_that_the_database_cannot_hold_costs_only_its_message() {
    let mut replica = latin1().await;
    let euro = Message::save("note", "\"\u{20ac}\"", 0, "\"body\":\"a\"");
    let batch = [euro.clone().id(1), account(1, 0, "b"), euro];
    let dead = Applied::Dead { reason: "database" };
    assert_eq!(
        replica.apply(&batch).await,
        [dead.clone(), APPLIED, dead.clone()]
    );
    let letters = replica.letters().await;
    assert_eq!(letters.len(), 2);
    for (letter, message) in letters.iter().zip([&batch[0], &batch[2]]) {
        assert_eq!(letter.state, LetterState::Dead);
        assert_eq!(&letter.body[..], message.body());
        let error = letter.error.as_deref().unwrap();
        assert!(error.contains("LATIN1"), "{error}");
    }
    // Given again, it is still one letter.
    assert_eq!(replica.one(&batch[0]).await, dead);
    // Retried it is judged, and dead again; nothing else waits for it.
    let queue = replica.policy.queue.clone();
    assert_eq!(replica.session.letter_retry(&queue, None).await.unwrap(), 2);
    assert_eq!(replica.due().await.applied, [dead.clone(), dead.clone()]);
    assert_eq!(replica.set_aside(&batch[2]).await, dead);
    assert_eq!(replica.one(&account(2, 0, "c")).await, APPLIED);
}

#[tokio::test]
async fn other_texts_that_it_cannot_hold_cost_their_message_alone() {
    let mut replica = latin1().await;
    let value = Message::save("note", "\"a\"", 0, "\"body\":\"\u{20ac}\"");
    let unreadable = Message::raw(
        "{\"signal_type\":\"SAVE\",\"cqrs_id\":\"\u{20ac} \",\"instance_pk\":1}".as_bytes(),
    );
    let mut routed = Message::raw(b"x");
    routed.routing_key = Some("\u{20ac}".to_owned());
    let answers = replica
        .apply(&[value, unreadable, routed, account(1, 0, "b")])
        .await;
    assert_eq!(answers[3], APPLIED, "{answers:?}");
    assert!(matches!(
        answers[0],
        Applied::Retrying { reason: "type", .. }
    ));
    assert!(matches!(answers[1], Applied::Dead { .. }));
    assert!(matches!(answers[2], Applied::Dead { .. }));
    assert_eq!(replica.letters().await.len(), 3);
    assert_eq_rows(&replica.rows("select name from account").await, &["b"]);
}
