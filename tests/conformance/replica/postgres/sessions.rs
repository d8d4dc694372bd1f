//! Sessions that are cut off, hold each other up, or meet deferred constraints.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cqrs_core::{Event, Revision, StoreError, Token};
use cqrs_replica::{
    Applied, Failure, Handler, Model, ReplicaSession, ReplicaStore, TableModel, WaitReason,
    postgres::{PostgresConfig, PostgresReplica},
};
use cqrs_tests::link::{self, Condition, Link};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use super::{
    super::{
        fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, id, table},
        message::{Message, account},
    },
    Database,
};

const NAMES: &str = "select name from account order by id";

/// A lock on the instance that nobody gives up: the batch is given back, nothing is counted.
#[tokio::test]
async fn a_lock_that_is_held_too_long_is_a_conflict() {
    let mut replica = Replica::<Database>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    let mut config = replica.fixture.config();
    config.lock_timeout = Duration::from_millis(100);
    let mut session = PostgresReplica::new(config).session().await.unwrap();
    let mut holder = PgConnection::connect(replica.fixture.database.url())
        .await
        .unwrap();
    let mut open = holder.begin().await.unwrap();
    sqlx::query("select from cqrs_replica_state for update")
        .execute(&mut *open)
        .await
        .unwrap();
    let batch = [account(1, 1, "b").incoming()];
    let error = session
        .apply(&replica.models, &replica.policy, &batch)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    open.rollback().await.unwrap();
    let answers = session
        .apply(&replica.models, &replica.policy, &batch)
        .await
        .unwrap();
    assert_eq!(answers, [APPLIED]);
    assert!(replica.letters().await.is_empty());
}

/// A row that someone else holds: its letter is set aside, and the others are taken up.
#[tokio::test]
async fn a_letter_that_cannot_have_its_lock_holds_back_no_other() {
    let mut replica = Replica::<Database>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    for key in ["1", "2", "3"] {
        let bad = Message::save("account", key, 1, "\"qty\":1");
        assert!(matches!(replica.one(&bad).await, Applied::Retrying { .. }));
    }
    replica
        .fixture
        .execute("alter table account alter name drop not null")
        .await;
    let mut holder = PgConnection::connect(replica.fixture.database.url())
        .await
        .unwrap();
    let mut open = holder.begin().await.unwrap();
    sqlx::query("select from account for update")
        .execute(&mut *open)
        .await
        .unwrap();
    let mut config = replica.fixture.config();
    config.lock_timeout = Duration::from_millis(100);
    replica.session = PostgresReplica::new(config).session().await.unwrap();
    replica.make_due().await;
    let aside = Applied::Retrying {
        attempts: 1,
        reason: "database",
    };
    assert_eq!(replica.due().await.applied, [aside, APPLIED, APPLIED]);
    open.rollback().await.unwrap();
    replica.make_due().await;
    assert_eq!(replica.due().await.applied, [APPLIED]);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_not_the_messages_fault() {
    let mut replica = Replica::<Database>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica
        .fixture
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = 'cqrs-tests' and datname = current_database()",
        )
        .await;
    let error = replica.try_apply(&[account(1, 1, "b")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    replica.session = replica.fixture.session().await;
    assert_eq!(replica.one(&account(1, 1, "b")).await, APPLIED);
    assert!(replica.letters().await.is_empty());
}

/// Cuts its own connection, once.
struct Cut(std::sync::atomic::AtomicBool);

impl Handler<PostgresReplica> for Cut {
    async fn apply(&self, tx: &mut PgConnection, _: &Event) -> Result<(), Failure> {
        if !self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
            sqlx::query("select pg_terminate_backend(pg_backend_pid())")
                .execute(tx)
                .await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_under_a_handler_is_not_the_events_fault() {
    let model = Model::handler(id("account"), Cut(false.into()));
    let mut replica = Replica::<Database>::new(&[], [model]).await;
    let error = replica.try_apply(&[account(1, 0, "a")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    replica.session = replica.fixture.session().await;
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    assert!(replica.letters().await.is_empty());
}

/// Waits for something else than the database.
struct Sleeper;

impl Handler<PostgresReplica> for Sleeper {
    async fn apply(&self, _: &mut PgConnection, event: &Event) -> Result<(), Failure> {
        if event.key.canonical() == "1" {
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        Ok(())
    }
}

/// It would come back for ever if it counted as a lost database.
#[tokio::test]
async fn a_handler_that_idles_costs_only_its_event() {
    let mut replica = Replica::<Database>::new(&[], [Model::handler(id("account"), Sleeper)]).await;
    let mut config: PostgresConfig = replica.fixture.config();
    config.idle_in_transaction_timeout = Duration::from_millis(200);
    replica.session = PostgresReplica::new(config).session().await.unwrap();
    let answers = replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    assert_eq!(
        answers,
        [
            Applied::Retrying {
                attempts: 1,
                reason: "handler"
            },
            APPLIED
        ]
    );
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("idle"), "{error}");
}

/// Waits for something that never comes, and counts how often it is asked to.
struct Hanging(Arc<AtomicUsize>);

impl Handler<PostgresReplica> for Hanging {
    async fn apply(&self, _: &mut PgConnection, _: &Event) -> Result<(), Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(600)).await;
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_hangs_stops_no_other_model() {
    let calls = Arc::new(AtomicUsize::new(0));
    let models = [
        Model::handler(id("note"), Hanging(Arc::clone(&calls))),
        table("account", TableModel::new("account", "id")),
    ];
    let mut replica = Replica::<Database>::new(&[ACCOUNT], models).await;
    let mut config: PostgresConfig = replica.fixture.config();
    config.idle_in_transaction_timeout = Duration::from_millis(200);
    replica.session = PostgresReplica::new(config).session().await.unwrap();
    let mut batch: Vec<_> = (1..=50)
        .map(|key| Message::save("note", &key.to_string(), 0, ""))
        .collect();
    batch.push(account(1, 0, "a"));
    let answers = replica.apply(&batch).await;
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "handler",
    };
    assert_eq!(answers[0], failed);
    let paused = Applied::Waiting(WaitReason::Paused);
    assert!(answers[1..50].iter().all(|answer| *answer == paused));
    assert_eq!(answers[50], APPLIED);
    // The first together with the rest, and the first two alone.
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let later = [Message::save("note", "99", 0, ""), account(2, 0, "b")];
    assert_eq!(replica.apply(&later).await, [paused, APPLIED]);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_deferred_constraint_costs_only_its_message() {
    let create = "create table note (id integer primary key, account integer not null
                  references account (id) deferrable initially deferred)";
    let models = [
        table("account", TableModel::new("account", "id")),
        table("note", TableModel::new("note", "id")),
    ];
    let mut replica = Replica::<Database>::new(&[ACCOUNT, create], models).await;
    let note = |key: &str| Message::save("note", key, 0, &format!("\"account\":{key}"));
    let answers = replica
        .apply(&[account(1, 0, "a"), note("1"), note("2")])
        .await;
    let waits = Applied::Waiting(WaitReason::Reference);
    assert_eq!(answers, [APPLIED, APPLIED, waits]);
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("note_account_fkey"), "{error}");
}

#[tokio::test]
async fn a_trigger_may_fill_what_the_data_lacks() {
    let mut replica = Replica::<Database>::new(
        &[
            ACCOUNT,
            "create function fill() returns trigger language plpgsql
             as $$ begin new.name := coalesce(new.name, 'filled'); return new; end $$",
            "create trigger fill before insert on account for each row execute function fill()",
        ],
        [table("account", TableModel::new("account", "id"))],
    )
    .await;
    assert_eq!(
        replica
            .one(&Message::save("account", "1", 0, "\"qty\":1"))
            .await,
        APPLIED
    );
    assert_eq_rows(&replica.rows(NAMES).await, &["filled"]);
}

#[tokio::test]
async fn tables_in_schemas_identities_and_types_of_all_kinds_work() {
    let mut replica = Replica::<Database>::new(
        &[
            "create schema \"my schema\"",
            "create type mood as enum ('sad', 'ok')",
            "create domain small as integer check (value < 10)",
            "create table \"my schema\".thing (
                id bigint generated always as identity primary key,
                at timestamptz, day date, mood mood, small small, list integer[], doc jsonb,
                twice bigint generated always as (id * 2) stored, bytes bytea)",
        ],
        [table("thing", TableModel::new("my schema.thing", "id"))],
    )
    .await;
    let data = r#""at":"2026-01-02 03:04:05.678901+00:00","day":"2026-01-02","mood":"ok",
        "small":3,"list":[1,2],"doc":{"a":1.10},"twice":99,"bytes":"\\x00ff""#;
    for revision in 0..2 {
        assert_eq!(
            replica
                .one(&Message::save("thing", "5", revision, data))
                .await,
            APPLIED
        );
    }
    let rows = replica
        .rows(
            "select id::text, (at at time zone 'utc')::text, day::text, mood::text, small::text,
                    list::text, doc::text, twice::text, bytes::text
             from \"my schema\".thing",
        )
        .await;
    let expected = r#"5|2026-01-02 03:04:05.678901|2026-01-02|ok|3|{1,2}|{"a": 1.10}|10|\x00ff"#;
    assert_eq_rows(&rows, &[expected]);
    for (member, value) in [("mood", "\"happy\""), ("day", "\"soon\""), ("list", "{}")] {
        let bad = Message::save("thing", "6", 0, &format!("\"{member}\":{value}"));
        let answer = replica.one(&bad).await;
        assert_eq!(
            answer,
            Applied::Retrying {
                attempts: 1,
                reason: "type"
            },
            "{member}"
        );
        let error = replica.letters().await.pop().unwrap().error.unwrap();
        assert!(error.contains(&format!("\"{member}\"")), "{error}");
        replica
            .fixture
            .execute("delete from cqrs_dead_letter")
            .await;
    }
}

#[tokio::test]
async fn a_name_with_a_nul_is_refused_as_a_type() {
    let mut replica = Replica::<Database>::accounts().await;
    let bad = Message::save("account", "1", 0, r#""name":"a\u0000b""#);
    assert_eq!(
        replica.one(&bad).await,
        Applied::Retrying {
            attempts: 1,
            reason: "type"
        }
    );
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("\"name\""), "{error}");
}

/// The server throws out whoever looks, again and again.
#[tokio::test]
async fn a_wait_outlives_its_connections() {
    const CUT: &str = "select cast(pg_terminate_backend(pid) as text) from pg_stat_activity
        where datname = current_database() and query like '-- cqrs-replica: applied_revisions%'";
    let mut replica = Replica::<Database>::accounts().await;
    let freshness = replica
        .fixture
        .freshness(replica.policy.queue.clone(), vec![id("account")]);
    let mut waits = JoinSet::new();
    for key in ["1", "2", "3"] {
        let token = Token::new([("account".to_owned(), key.to_owned(), Revision(0))]);
        let freshness = freshness.clone();
        waits.spawn(async move { freshness.wait_for(&token, Duration::from_mins(1)).await });
    }
    let mut cut = 0;
    while cut < 5 {
        cut += replica.rows(CUT).await.len();
        assert!(waits.try_join_next().is_none(), "a wait has ended");
    }
    let batch = [1, 2, 3].map(|key| account(key, 0, "a"));
    replica.apply(&batch).await;
    for answer in waits.join_all().await {
        answer.unwrap();
    }
}

/// A connection that is cut off without a word before its first statement.
#[tokio::test]
async fn a_silent_database_is_not_waited_for_for_ever() {
    let database = Database::new().await;
    let url = database.database.url();
    let link = Link::to(link::server(url).unwrap()).await.unwrap();
    let mut config = database.config();
    config.url = cqrs_core::SecretUrl::new(link.url(url).unwrap());
    let mut connection = cqrs_core::database::postgres::connect(&config)
        .await
        .unwrap();
    link.set(Condition::HalfOpen);
    let checked = cqrs_outbox::capture::Capture::captured(&mut connection);
    let checked = tokio::time::timeout(Duration::from_mins(1), checked).await;
    let error = checked.expect("it ends by itself").unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
