//! Messages that the database never takes, though it answers: nobody else is held back.

use std::time::Duration;

use cqrs_core::StoreError;
use cqrs_replica::{Applied, LetterState, ReplicaSession, ReplicaStore, postgres::PostgresReplica};
use sqlx::{Connection, PgConnection};

use super::{
    super::{
        fixture::{APPLIED, Fixture, Replica, assert_eq_rows},
        message::{Message, account, gone},
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
    assert_eq!(replica.apply(&batch).await, [ASIDE, APPLIED]);
    assert_eq!(replica.set_aside(&batch[0]).await, ASIDE);
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
    assert_eq!(replica.apply(std::slice::from_ref(&slow)).await, [ASIDE]);
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

/// A connection that is lost while a message is set aside says nothing against the message: it is kept
/// with its instance, so that later revisions wait for it, or comes again.
#[tokio::test]
async fn a_lost_connection_makes_no_letter_without_its_instance() {
    let mut replica = Replica::<Database>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    let mut holder = PgConnection::connect(replica.fixture.database.url())
        .await
        .unwrap();
    let mut open = holder.begin().await.unwrap();
    sqlx::query("select from cqrs_replica_state for update")
        .execute(&mut *open)
        .await
        .unwrap();
    let (models, policy) = (replica.models.clone(), replica.policy.clone());
    let mut session = replica.fixture.session().await;
    let message = account(1, 1, "b").incoming();
    let keeping = session.set_aside(&models, &policy, &message, "a test");
    let ended = "select pg_terminate_backend(pid)::text from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    let cutting = async {
        while replica.rows(ended).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let (kept, ()) = tokio::join!(keeping, cutting);
    assert!(matches!(kept, Err(StoreError::Unavailable(_))), "{kept:?}");
    assert_eq!(replica.letters().await.len(), 0);
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
    let dead = Applied::Dead { reason: "database" };
    let both = [large, account(1, 0, "a")];
    assert_eq!(replica.apply(&both).await, [dead, APPLIED]);
    let letter = replica.letters().await.remove(0);
    assert_eq!(letter.body.len(), 64 << 10);
    let error = letter.error.unwrap();
    assert!(error.contains("3145728 bytes"), "{error}");
}

/// With the worker's own limits. The row is locked, or slow, until the end: nobody waits for it.
async fn holds_up_no_other(mut replica: Replica<Database>) {
    let mut batch: Vec<_> = (1..=200).map(|id| account(id, 1, "b")).collect();
    batch.insert(150, account(100, 2, "c"));
    let mut answers = vec![APPLIED; batch.len()];
    (answers[99], answers[150]) = (ASIDE, ASIDE);
    assert_eq!(replica.apply(&batch).await, answers);
    // What comes later is not held up either.
    let batch = [account(1, 2, "c"), account(100, 3, "d"), account(2, 2, "c")];
    assert_eq!(replica.apply(&batch).await, [APPLIED, ASIDE, APPLIED]);
    let open = replica.letters().await.into_iter();
    let attempts: Vec<_> = open.map(|letter| letter.attempts).collect();
    assert_eq!(attempts, [0, 0, 0]);
}

#[tokio::test]
async fn one_locked_row_of_a_batch_holds_up_no_other() {
    let mut replica = Replica::<Database>::accounts().await;
    replica.one(&account(100, 0, "a")).await;
    let mut holder = PgConnection::connect(replica.fixture.database.url())
        .await
        .unwrap();
    let mut open = holder.begin().await.unwrap();
    sqlx::query("select from account where id = 100 for update")
        .execute(&mut *open)
        .await
        .unwrap();
    holds_up_no_other(replica).await;
}

#[tokio::test]
async fn one_slow_row_of_a_batch_holds_up_no_other() {
    let replica = Replica::<Database>::accounts().await;
    for sql in [
        "create function dawdle() returns trigger language plpgsql
         as $$ begin perform pg_sleep(3600); return new; end $$",
        "create trigger dawdle before insert on account for each row when (new.id = 100)
         execute function dawdle()",
    ] {
        replica.fixture.execute(sql).await;
    }
    holds_up_no_other(replica).await;
}

#[tokio::test]
async fn a_batch_that_is_too_much_for_its_time_is_applied_all_the_same() {
    let mut replica = Replica::<Database>::accounts().await;
    for sql in [
        "create function dawdle() returns trigger language plpgsql
         as $$ begin perform pg_sleep(0.1); return new; end $$",
        "create trigger dawdle before insert on account for each row execute function dawdle()",
    ] {
        replica.fixture.execute(sql).await;
    }
    let batch: Vec<_> = (1..=30).map(|id| account(id, 0, "a")).collect();
    assert_eq!(replica.apply(&batch).await, vec![APPLIED; 30]);
    let batch: Vec<_> = (31..=60).map(|id| account(id, 0, "a")).collect();
    assert_eq!(replica.apply(&batch).await, vec![APPLIED; 30]);
}

/// A user who changes rows in the order of their keys meets a batch that came in another order.
#[tokio::test]
async fn rows_are_locked_in_the_order_of_their_keys() {
    let rows = || (1..=9).map(|key| account(key, 0, "a")).collect::<Vec<_>>();
    let writes: Vec<_> = (1..=9).rev().map(|key| account(key, 1, "b")).collect();
    let deletes: Vec<_> = (1..=9).rev().map(|key| gone(key, 1)).collect();
    for (batch, left) in [(writes, "9"), (deletes, "0")] {
        let mut replica = Replica::<Database>::accounts().await;
        replica.apply(&rows()).await;
        let mut user = PgConnection::connect(replica.fixture.database.url())
            .await
            .unwrap();
        let mut open = user.begin().await.unwrap();
        sqlx::query("update account set qty = 7 where id = 1")
            .execute(&mut *open)
            .await
            .unwrap();
        let (models, policy) = (replica.models.clone(), replica.policy.clone());
        let mut session = replica.fixture.session().await;
        let messages: Vec<_> = batch.iter().map(Message::incoming).collect();
        let applying = session.apply(&models, &policy, &messages);
        let waiting = "select 'yes' from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        let using = async {
            while replica.rows(waiting).await.is_empty() {
                tokio::task::yield_now().await;
            }
            sqlx::query("update account set qty = 7 where id = 9")
                .execute(&mut *open)
                .await
                .unwrap();
            open.commit().await.unwrap();
        };
        let (answers, ()) = tokio::join!(applying, using);
        assert_eq!(answers.unwrap(), vec![APPLIED; 9]);
        let count = "select count(*)::text from account";
        assert_eq_rows(&replica.rows(count).await, &[left]);
    }
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
