//! Messages that the database never takes, though it answers: nobody else is held back.

use std::time::Duration;

use cqrs_core::StoreError;
use cqrs_replica::{Applied, LetterState, ReplicaStore, postgres::PostgresReplica};
use sqlx::{Connection, PgConnection};

use super::{
    super::{
        fixture::{APPLIED, Fixture, Replica, assert_eq_rows},
        message::{Message, account},
    },
    Database,
};

const NAMES: &str = "select name from account order by id";

const ASIDE: Applied = Applied::Retrying {
    attempts: 0,
    reason: "database",
};

/// A session that is quick to give up.
async fn impatient(replica: &Replica<Database>) -> <PostgresReplica as ReplicaStore>::Session {
    let mut config = replica.fixture.config();
    config.lock_timeout = Duration::from_millis(100);
    config.statement_timeout = Duration::from_millis(500);
    PostgresReplica::new(config).session().await.unwrap()
}

async fn is_resolved_without_attempts(replica: &mut Replica<Database>) {
    let letter = replica.letters().await.remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Resolved, 0));
}

#[tokio::test]
async fn a_row_that_a_user_holds_holds_back_only_its_instance() {
    let mut replica = Replica::<Database>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica.session = impatient(&replica).await;
    let mut holder = PgConnection::connect(replica.fixture.database.url())
        .await
        .unwrap();
    let mut open = holder.begin().await.unwrap();
    sqlx::query("select from account for update")
        .execute(&mut *open)
        .await
        .unwrap();
    let batch = [account(1, 1, "b").id(1), account(2, 0, "c").id(2)];
    let error = replica.try_apply(&batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_eq!(replica.set_aside(&batch[0]).await, ASIDE);
    assert_eq!(replica.apply(&batch).await, [ASIDE, APPLIED]);
    // The letter is held up as well, again without an attempt.
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [ASIDE]);
    open.rollback().await.unwrap();
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["b", "c"]);
    assert_eq!(replica.letters().await.len(), 1);
    is_resolved_without_attempts(&mut replica).await;
}

#[tokio::test]
async fn a_statement_that_always_takes_too_long_holds_back_only_its_instance() {
    let mut replica = Replica::<Database>::accounts().await;
    for sql in [
        "create function dawdle() returns trigger language plpgsql
         as $$ begin perform pg_sleep(5); return new; end $$",
        "create trigger dawdle before insert on account for each row when (new.id = 1)
         execute function dawdle()",
    ] {
        replica.fixture.execute(sql).await;
    }
    replica.session = impatient(&replica).await;
    let slow = account(1, 0, "a");
    let error = replica
        .try_apply(std::slice::from_ref(&slow))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    replica.session = impatient(&replica).await;
    assert_eq!(replica.set_aside(&slow).await, ASIDE);
    assert_eq!(replica.set_aside(&account(2, 0, "b")).await, ASIDE);
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [ASIDE]);
    assert_eq!(replica.due().await.applied, [APPLIED]);
    replica
        .fixture
        .execute("drop trigger dawdle on account")
        .await;
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.rows(NAMES).await, &["a", "b"]);
    is_resolved_without_attempts(&mut replica).await;
}

/// A body that nobody can read, and that is never stored in time, is kept by its beginning.
#[tokio::test]
async fn a_body_that_is_never_stored_in_time_is_kept_by_its_beginning() {
    let mut replica = Replica::<Database>::accounts().await;
    for sql in [
        "create function dawdle() returns trigger language plpgsql
         as $$ begin perform pg_sleep(5); return new; end $$",
        "create trigger dawdle before insert on cqrs_dead_letter for each row
         when (octet_length(new.body) > 100000) execute function dawdle()",
    ] {
        replica.fixture.execute(sql).await;
    }
    replica.session = impatient(&replica).await;
    let large = Message::raw(&vec![b'x'; 3 << 20]);
    let error = replica
        .try_apply(std::slice::from_ref(&large))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    replica.session = impatient(&replica).await;
    let dead = Applied::Dead { reason: "database" };
    assert_eq!(replica.set_aside(&large).await, dead);
    let letter = replica.letters().await.remove(0);
    assert_eq!(letter.body.len(), 64 << 10);
    let error = letter.error.unwrap();
    assert!(error.contains("3145728 bytes"), "{error}");
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
}

/// Letters that take long cost the others neither their transaction nor, one after the other, their time.
#[tokio::test]
async fn slow_letters_hold_up_no_others() {
    let mut replica = Replica::<Database>::accounts().await;
    for sql in [
        "create function dawdle() returns trigger language plpgsql
         as $$ begin perform pg_sleep(5); return new; end $$",
        "create trigger dawdle before insert on account for each row when (new.id < 10)
         execute function dawdle()",
    ] {
        replica.fixture.execute(sql).await;
    }
    for key in 1..=5 {
        assert_eq!(replica.set_aside(&account(key, 0, "slow")).await, ASIDE);
    }
    replica.one(&Message::save("account", "20", 0, "")).await;
    replica
        .fixture
        .execute("alter table account alter name drop not null")
        .await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    replica.make_due().await;
    replica.session = impatient(&replica).await;
    // The one that is as others are, and one of the slow ones.
    assert_eq!(replica.due().await.applied, [APPLIED, ASIDE]);
    assert_eq!(replica.due().await.applied, [ASIDE]);
    assert_eq_rows(&replica.rows("select id::text from account").await, &["20"]);
}
