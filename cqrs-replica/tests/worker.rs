//! The worker on a real `SQLite` database and the embedded broker.
#![cfg(all(feature = "sqlite", feature = "embedded"))]
#![expect(
    clippy::unwrap_used,
    reason = "what is not a test function here supports one"
)]

mod site;

use std::{sync::Arc, time::Duration};

use cqrs_core::{CqrsId, Event, RetryPolicy, Shutdown, Signal, SystemClock};
use cqrs_replica::{
    Failure, Handler, LetterState, Model, Models, TableModel, Worker, WorkerConfig, WorkerError,
    dead, new_worker_id, sqlite::SqliteReplica, status::status,
};
use sqlx::{Connection, SqliteConnection};
use tokio::task::JoinSet;

use self::site::{Site, account, message, save, until};

struct Running {
    shutdown: Shutdown,
    worker: JoinSet<Result<(), WorkerError>>,
}

impl Running {
    fn start(site: &Site, model: Model<SqliteReplica>) -> Self {
        Self::start_on(site, site.store(), model)
    }

    fn start_on(site: &Site, store: SqliteReplica, model: Model<SqliteReplica>) -> Self {
        Self::start_with(site, store, [model], |_| ())
    }

    fn start_with(
        site: &Site,
        store: SqliteReplica,
        models: impl IntoIterator<Item = Model<SqliteReplica>>,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> Self {
        let mut config = WorkerConfig::new(site.queue.clone());
        config.lanes = 3;
        config.batch_size = 20;
        config.apply.gap_wait = Duration::from_secs(20);
        change(&mut config);
        let models = Models::new(models).unwrap();
        let clock = Arc::new(SystemClock);
        let id = new_worker_id(&SystemClock);
        let worker = Worker::new(store, site.broker.clone(), models, config, clock, id);
        let shutdown = Shutdown::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(shutdown.clone()));
        Self {
            shutdown,
            worker: tasks,
        }
    }

    async fn ended(mut self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.worker.join_next()).await;
        ended.expect("the worker goes on").unwrap().unwrap()
    }

    async fn drained(self) {
        self.shutdown.drain.cancel();
        self.ended().await.unwrap();
    }

    async fn killed(self) {
        self.shutdown.stop.cancel();
        let _ = self.ended().await;
    }
}

fn id() -> CqrsId {
    CqrsId::new("account").unwrap()
}

fn table() -> Model<SqliteReplica> {
    Model::table(id(), TableModel::new("account", "id"))
}

/// Keeps every event it is given, in a table.
struct Ledger;

impl Ledger {
    async fn table(site: &Site) {
        site.execute(
            "create table ledger (n integer primary key autoincrement, id, revision, signal)",
        )
        .await;
    }

    /// Each revision of each instance once, in order, without a hole.
    async fn assert_in_step(site: &Site, instances: i64, revisions: i64) {
        let total = "select count(*) from ledger";
        assert_eq!(site.number(total).await, instances * revisions);
        let wrong = "select count(*) from (select revision, row_number() over
            (partition by id order by n) - 1 as expected from ledger) where revision <> expected";
        assert_eq!(site.number(wrong).await, 0);
    }
}

impl Handler<SqliteReplica> for Ledger {
    async fn apply(&self, tx: &mut SqliteConnection, event: &Event) -> Result<(), Failure> {
        if event.signal == Signal::Save
            && event
                .data
                .get("name")
                .is_some_and(|raw| raw.get() == "\"bad\"")
        {
            return Err("a bad name".into());
        }
        sqlx::query("insert into ledger (id, revision, signal) values (?, ?, ?)")
            .bind(event.key.canonical())
            .bind(event.revision.0)
            .bind(event.signal.as_str())
            .execute(tx)
            .await?;
        Ok(())
    }
}

fn ledger() -> Model<SqliteReplica> {
    let retry = RetryPolicy {
        initial: Duration::from_millis(50),
        max_attempts: Some(2),
        ..RetryPolicy::default()
    };
    Model::handler(id(), Ledger).with_retry(retry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_follows_saves_updates_deletes_and_a_second_life() {
    let site = Site::new().await;
    let running = Running::start(&site, table());
    site.publish((0..60).map(|id| save(id, 0))).await;
    site.publish((0..30).map(|id| save(id, 1))).await;
    site.publish((0..20).map(|id| account("DELETE", id, 2, "")))
        .await;
    site.publish((0..10).map(|id| save(id, 3))).await;
    // Late duplicates.
    site.publish((0..20).map(|id| save(id, 1))).await;
    until("the last are applied", || async {
        site.number("select count(*) from account where balance = 3")
            .await
            == 10
    })
    .await;
    until("all are acknowledged", || async { site.depth().await == 0 }).await;
    running.drained().await;
    assert_eq!(site.depth().await, 0);
    assert_eq!(site.number("select count(*) from account").await, 50);
    assert_eq!(
        site.number("select sum(balance) from account").await,
        10 * 3 + 10
    );
    let status = status(&site.store(), &site.queue).await.unwrap();
    assert_eq!((status.live, status.tombstones, status.dead), (50, 10, 0));
    assert_eq!(status.workers, [], "it has retired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_a_queue_and_handlers_stay_in_step() {
    let site = Site::new().await;
    Ledger::table(&site).await;
    let workers = [
        Running::start(&site, ledger()),
        Running::start(&site, ledger()),
    ];
    for revision in 0..15 {
        site.publish((0..20).map(|id| save(id, revision))).await;
    }
    until("all are applied", || async {
        site.number("select count(*) from ledger").await >= 300
    })
    .await;
    for worker in workers {
        worker.drained().await;
    }
    assert_eq!(site.depth().await, 0);
    Ledger::assert_in_step(&site, 20, 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_hard_stop_the_next_worker_goes_on_and_nothing_is_applied_twice() {
    let site = Site::new().await;
    Ledger::table(&site).await;
    for revision in 0..20 {
        site.publish((0..20).map(|id| save(id, revision))).await;
    }
    for least in [1, 40, 150] {
        let running = Running::start(&site, ledger());
        until("some are applied", || async {
            site.number("select count(*) from ledger").await >= least
        })
        .await;
        running.killed().await;
    }
    let running = Running::start(&site, ledger());
    until("all are applied", || async {
        site.number("select count(*) from ledger").await >= 400
    })
    .await;
    until("all are acknowledged", || async { site.depth().await == 0 }).await;
    running.drained().await;
    Ledger::assert_in_step(&site, 20, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_is_waited_for_and_counts_against_no_message() {
    let site = Site::new().await;
    Ledger::table(&site).await;
    let running = Running::start_on(&site, site.impatient_store(), ledger());
    site.publish((0..5).map(|id| save(id, 0))).await;
    until("it works", || async {
        site.number("select count(*) from ledger").await == 5
    })
    .await;

    let mut other = site.connection().await;
    let lock = other.begin_with("begin exclusive").await.unwrap();
    site.publish((0..5).map(|id| save(id, 1))).await;
    until("they are taken", || async { site.depth().await == 0 }).await;
    // Several times as long as it takes a statement to give up.
    tokio::time::sleep(Duration::from_millis(700)).await;
    lock.commit().await.unwrap();
    until("they are applied", || async {
        site.number("select count(*) from ledger").await == 10
    })
    .await;
    running.drained().await;
    assert_eq!(
        site.number("select count(*) from cqrs_dead_letter").await,
        0
    );
    Ledger::assert_in_step(&site, 5, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_messages_become_letters_and_hold_back_only_their_own_instance() {
    let site = Site::new().await;
    Ledger::table(&site).await;
    let running = Running::start(&site, ledger());
    site.publish([
        message(&b"\xff not json"[..]),
        message("{\"cqrs_id\":\"account\"}"),
        account("SAVE", 1, 0, r#","name":"bad""#),
        save(1, 1),
        save(2, 0),
    ])
    .await;
    until("the other is applied", || async {
        site.number("select count(*) from ledger where id = '2'")
            .await
            == 1
    })
    .await;
    let dead = || async {
        dead::list(&site.store(), &site.queue, Some(LetterState::Dead), 10)
            .await
            .unwrap()
    };
    until("three are dead", || async { dead().await.len() == 3 }).await;
    let letters = dead().await;
    let bytes: Vec<_> = letters
        .iter()
        .filter(|letter| letter.cqrs_id.is_none())
        .collect();
    assert_eq!(bytes[0].body.as_ref(), b"\xff not json");
    running.drained().await;
    assert_eq!(site.depth().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_letter_is_taken_up_by_a_running_worker() {
    let site = Site::new().await;
    site.execute(
        "create trigger closed before insert on account begin select raise(abort, 'closed'); end",
    )
    .await;
    let running = Running::start(
        &site,
        table().with_retry(RetryPolicy {
            max_attempts: Some(1),
            ..RetryPolicy::default()
        }),
    );
    site.publish([save(1, 0)]).await;
    let dead = || async {
        dead::list(&site.store(), &site.queue, Some(LetterState::Dead), 10)
            .await
            .unwrap()
    };
    until("it is dead", || async { dead().await.len() == 1 }).await;
    site.execute("drop trigger closed").await;
    let retried = dead::retry(&site.store(), &site.queue, &dead::Which::All)
        .await
        .unwrap();
    assert_eq!(retried, 1);
    until("it is applied", || async {
        site.number("select count(*) from account").await == 1
    })
    .await;
    running.drained().await;
    assert!(dead().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_comes_too_early_waits_for_the_one_before() {
    let site = Site::new().await;
    Ledger::table(&site).await;
    let running = Running::start(&site, ledger());
    site.publish([save(1, 0), save(1, 2), save(1, 3)]).await;
    until("two wait", || async {
        site.number("select count(*) from cqrs_dead_letter where state = 'waiting'")
            .await
            == 2
    })
    .await;
    site.publish([save(1, 1)]).await;
    until("all are applied", || async {
        site.number("select count(*) from ledger").await == 4
    })
    .await;
    running.drained().await;
    Ledger::assert_in_step(&site, 1, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_that_come_before_their_parents_are_applied_after_them() {
    let site = Site::new().await;
    site.execute(
        "create table note (id integer primary key, account integer not null references account)",
    )
    .await;
    let note = Model::table("note".parse().unwrap(), TableModel::new("note", "id"));
    let running = Running::start_with(&site, site.store(), [table(), note], |config| {
        config.letter_interval = Duration::from_mins(1);
    });
    let bound = || async {
        site.number("select count(*) from cqrs_replica_worker")
            .await
            == 1
    };
    until("it lives", bound).await;
    let notes = |ids: std::ops::Range<i64>| {
        ids.map(|id| {
            let mut message = account("SAVE", id, 0, &format!(",\"account\":{}", id / 3));
            let body = String::from_utf8(message.body.to_vec()).unwrap();
            message.body = body
                .replace("\"cqrs_id\":\"account\"", "\"cqrs_id\":\"note\"")
                .into();
            message
        })
    };
    site.publish(notes(0..60)).await;
    until("they wait", || async {
        site.number("select count(*) from cqrs_dead_letter where reason = 'reference'")
            .await
            == 60
    })
    .await;
    site.publish(notes(60..90).chain((0..30).map(|id| save(id, 0))))
        .await;
    until("all are applied", || async {
        site.number("select count(*) from note").await == 90
    })
    .await;
    running.drained().await;
    assert_eq!(
        site.number("select count(*) from cqrs_dead_letter").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_letters_are_forgotten_when_they_are_not_to_be_kept_for_ever() {
    let site = Site::new().await;
    site.execute(
        "insert into cqrs_dead_letter (queue, state, reason, next_attempt_at, created_at, updated_at,
             routing_key, body, counted)
         select 'billing', state, 'handler', iif(state = 'retrying', 1 << 52, null), at, at,
             'account', x'', 1
         from (select value as state from json_each(
                   '[\"dead\", \"discarded\", \"superseded\", \"resolved\", \"retrying\"]')),
              (select unixepoch('now') * 1000000 as at
               union select (unixepoch('now') - 3 * 86400) * 1000000)",
    )
    .await;
    let left = "select count(*) from cqrs_dead_letter";
    let old =
        "select count(*) from cqrs_dead_letter where updated_at < (unixepoch() - 86400) * 1000000";
    let day = Duration::from_hours(24);
    for (ttl, expected) in [(None, 10), (Some(10 * day), 10), (Some(day), 6)] {
        let running = Running::start_with(&site, site.store(), [table()], |config| {
            config.dead_letter_ttl = ttl;
        });
        until("only those are left", || async {
            site.number("select count(*) from cqrs_replica_worker")
                .await
                == 1
                && site.number(left).await == expected
        })
        .await;
        running.drained().await;
        assert_eq!(site.number(left).await, expected);
    }
    // One that is open is kept whatever its age.
    assert_eq!(site.number(old).await, 1);
}

#[tokio::test]
async fn models_without_tables_end_the_worker_at_its_start() {
    let site = Site::new().await;
    let model = Model::table(id(), TableModel::new("no_such_table", "id"));
    let error = Running::start(&site, model).ended().await.unwrap_err();
    assert!(matches!(&error, WorkerError::Models(_)), "{error:?}");
}

#[tokio::test]
async fn dead_letters_cannot_be_published_to_no_queue() {
    let site = Site::new().await;
    let mut config = WorkerConfig::new(site.queue.clone());
    config.dead_letter_queue = None;
    let id = CqrsId::new("account").unwrap();
    let model = Model::table(id, TableModel::new("account", "id"));
    let models = Models::new([model.with_published_dead_letters(true)]).unwrap();
    let (clock, id) = (Arc::new(SystemClock), new_worker_id(&SystemClock));
    let worker = Worker::new(site.store(), site.broker.clone(), models, config, clock, id);
    let error = worker.run(Shutdown::new()).await.unwrap_err();
    assert!(matches!(error, WorkerError::Config(_)), "{error:?}");
    assert!(error.to_string().contains("account"), "{error}");
}
