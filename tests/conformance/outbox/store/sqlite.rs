//! The outbox in SQLite.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use cqrs_core::{SecretUrl, database::sqlite::SqliteConfig};
use cqrs_outbox::{Instance, Owner, RowRef, sqlite::SqliteStore};
use sqlx::{
    Connection, Executor, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tempfile::TempDir;

use super::{
    fixture::{Fixture, NewRow, fresh_id},
    statements::statements,
};

/// A file in a directory of its own.
pub(super) struct File {
    directory: TempDir,
    pool: SqlitePool,
}

impl File {
    fn url(&self) -> SecretUrl {
        url(&self.directory)
    }
}

fn url(directory: &TempDir) -> SecretUrl {
    SecretUrl::new(format!(
        "sqlite://{}",
        directory.path().join("outbox.db").display()
    ))
}

impl Fixture for File {
    type Store = SqliteStore;
    type Open = Transaction<'static, Sqlite>;

    const SPOILINGS: &[(&str, &str)] = &[
        (
            "cqrs_id",
            "update cqrs_outbox set cqrs_id = 'bad id' where instance_pk = 'bad'",
        ),
        (
            "cqrs_id",
            "update cqrs_outbox set cqrs_id = cast(x'ff61' as text) where instance_pk = 'bad'",
        ),
        (
            "queue",
            "update cqrs_outbox set queue = 'not#a#queue' where instance_pk = 'bad'",
        ),
        (
            "queue",
            "update cqrs_outbox set queue = cast(x'ff' as text) where instance_pk = 'bad'",
        ),
        (
            "message_id",
            "update cqrs_outbox set message_id = 'm' where instance_pk = 'bad'",
        ),
        (
            "message_id",
            "update cqrs_outbox set message_id = cast(x'ff00' as text) where instance_pk = 'bad'",
        ),
        (
            "created_at",
            "update cqrs_outbox set created_at = 9223372036854775807 where instance_pk = 'bad'",
        ),
        (
            "created_at",
            "update cqrs_outbox set created_at = -9223372036854775807 where instance_pk = 'bad'",
        ),
    ];

    const WAIT: &str = "update cqrs_outbox
        set attempts = max(attempts, 1), next_attempt_at = unixepoch() * 1000000 + 60000000 + id";

    const NEVER: &str = "update cqrs_outbox set next_attempt_at = 9223372036854775807";

    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        cqrs_outbox::migrate(&url(&directory)).await.unwrap();
        let options = SqliteConnectOptions::new().filename(directory.path().join("outbox.db"));
        let pool = SqlitePoolOptions::new()
            .connect_with(options)
            .await
            .unwrap();
        Self { directory, pool }
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::new(SqliteConfig::new(self.url()))
    }

    async fn begin(&self) -> Self::Open {
        self.pool.begin_with("BEGIN IMMEDIATE").await.unwrap()
    }

    async fn insert(open: &mut Self::Open, row: &NewRow) -> RowRef {
        let message_id = fresh_id();
        let id = sqlx::query_scalar(
            "insert into cqrs_outbox
                (message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, created_at,
                 expires_at)
             values (?1, ?2, ?3, ?4, 'SAVE', ?5, ?6, ?7, unixepoch() * 1000000,
                     unixepoch() * 1000000 + ?8 * 1000000)
             returning id",
        )
        .bind(message_id.to_string())
        .bind(i64::from(row.slot.number()))
        .bind(row.instance.cqrs_id.as_str())
        .bind(&row.instance.instance_pk)
        .bind(row.queue)
        .bind(row.revision)
        .bind(&row.body)
        .bind(row.expires_in)
        .fetch_one(&mut **open)
        .await
        .unwrap();
        RowRef { id, message_id }
    }

    async fn commit(open: Self::Open) {
        open.commit().await.unwrap();
    }

    async fn rollback(open: Self::Open) {
        open.rollback().await.unwrap();
    }

    async fn execute(&self, sql: &'static str) {
        self.pool.execute(sql).await.unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    async fn know(&self, instance: &Instance, revision: i64) {
        sqlx::query(
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted)
             values (?1, ?2, ?3, 0, 0)",
        )
        .bind(instance.cqrs_id.as_str())
        .bind(&instance.instance_pk)
        .bind(revision)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn expire(&self, owner: Owner) {
        let sql = "update cqrs_relay set expires_at = unixepoch() * 1000000 - 1 where owner = ?1";
        let done = sqlx::query(sql)
            .bind(owner.0.to_string())
            .execute(&self.pool)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    async fn make_due(&self) {
        self.execute(
            "update cqrs_outbox set next_attempt_at = next_attempt_at - 3600000000
             where next_attempt_at is not null",
        )
        .await;
    }
}

conformance!(File:
    fetching::rows_come_in_id_order_as_they_were_recorded,
    fetching::pages_cover_everything_once,
    fetching::a_position_goes_on_where_it_stood,
    fetching::only_the_slots_asked_for_come,
    fetching::a_series_goes_on_with_fewer_slots,
    fetching::rolled_back_ids_leave_no_hole_to_wait_for,
    fetching::settled_ids_are_never_given_again,
    fetching::large_bodies_cut_an_answer_short,
    fetching::a_long_backlog_of_other_slots_is_passed_in_steps,
    fetching::rows_of_models_to_leave_out_are_passed_in_steps,
    fetching::an_empty_outbox_answers_nothing,
    fetching::expired_rows_say_so,
    fetching::two_relays_with_different_slots_share_the_rows,
    retrying::waiting_rows_are_left_to_due,
    retrying::due_rows_come_oldest_first_and_limited,
    retrying::rows_behind_a_settled_one_are_read_by_instance,
    retrying::keys_are_compared_byte_by_byte,
    retrying::a_row_is_put_off_only_under_a_held_slot,
    settling::every_kind_is_counted,
    settling::a_wrong_message_id_hits_nothing,
    settling::a_batch_is_settled_whole,
    settling::lost_slots_are_reported,
    settling::no_words_of_a_failure_spoil_a_settlement,
    leases::a_beat_shows_everyone,
    leases::of_two_acquirers_one_wins,
    leases::a_lapsed_relay_is_not_live_and_may_be_succeeded,
    leases::a_beat_in_between_keeps_the_slots,
    leases::a_beat_after_the_lease_costs_all_slots,
    leases::released_slots_are_free,
    leases::slots_that_are_missing_are_restored,
    leases::a_relay_that_retires_is_forgotten,
    dead::dead_rows_are_listed_and_shown,
    dead::a_retried_row_gets_a_new_id,
    dead::a_superseded_row_is_sent_only_by_force,
    dead::a_retried_row_does_not_expire_again,
    dead::retrying_everything_keeps_the_order,
    dead::an_id_that_is_given_again_may_die_again,
    dead::discarded_rows_are_gone,
    backlog::the_backlog_is_counted,
    backlog::a_large_backlog_is_counted_in_part,
    corrupt::a_row_that_cannot_be_read_is_set_aside,
    corrupt::one_that_waits_for_its_retry_is_set_aside,
    corrupt::one_behind_a_settled_row_is_set_aside,
    corrupt::a_retry_at_a_time_that_never_comes_is_waited_for,
    corrupt::a_row_with_any_id_is_found,
    corrupt::a_database_without_tables_is_refused,
);

// Not `late::*`: one writer at a time commits, so no row becomes visible after one with a higher id.
// `fetching::rolled_back_ids_leave_no_hole_to_wait_for` shows that a fetch passes an open writer.

#[tokio::test]
async fn dead_rows_of_before_keep_their_ids() {
    let fixture = File::new().await;
    // A later migration's, which looks at the table.
    fixture
        .execute("drop trigger cqrs_captured_judged_insert")
        .await;
    fixture.execute("drop table cqrs_outbox_dead").await;
    fixture.execute(OLD_DEAD).await;
    fixture
        .execute("insert into cqrs_outbox_dead (id, message_id, slot, cqrs_id, instance_pk, signal,
                revision, body, created_at, attempts, reason, died_at)
            select value, '01a217b7-ecd7-7dfe-ba67-da5adb4890ee', 1, 'account', 'old', 'SAVE', 0, '{}', 1, 1,
                'failed', 1
            from json_each('[9, 7]')")
        .await;
    fixture
        .execute(include_str!(
            "../../../../migrations/sqlite/outbox/0006_dead_rows.sql"
        ))
        .await;
    super::dead::dead_rows_of_before_keep_their_ids(fixture).await;
}

const OLD_DEAD: &str = "create table cqrs_outbox_dead (
    id          integer primary key,
    message_id  text not null,
    slot        integer not null,
    cqrs_id     text not null,
    instance_pk text not null,
    signal      text not null,
    queue       text,
    revision    integer not null,
    body        text not null,
    traceparent text,
    created_at  integer not null,
    expires_at  integer,
    attempts    integer not null,
    reason      text not null check (reason in ('failed', 'expired', 'no_queue')),
    error       text,
    died_at     integer not null,
    superseded  integer not null default 0 check (superseded in (0, 1)),
    forced      integer not null default 0 check (forced in (0, 1))
) strict";

#[tokio::test]
async fn every_statement_prepares() {
    let file = File::new().await;
    let mut connection = SqliteConnection::connect(file.url().expose())
        .await
        .unwrap();
    for (name, text) in statements("sqlite") {
        let prepared = (&mut connection)
            .prepare(sqlx::AssertSqlSafe(text).into_sql_str())
            .await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.err().unwrap());
    }
}

#[tokio::test]
async fn hot_statements_search_an_index() {
    let file = File::new().await;
    let mut connection = SqliteConnection::connect(file.url().expose())
        .await
        .unwrap();
    for (name, expected) in [
        (
            "fetch",
            "SEARCH cqrs_outbox USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        ("bounds", "SEARCH cqrs_outbox"),
        (
            "unassigned",
            "SEARCH cqrs_outbox USING INDEX cqrs_outbox_unassigned (id>? AND id<?)",
        ),
        (
            "record_known",
            "SEARCH row USING INDEX cqrs_outbox_instance (cqrs_id=? AND instance_pk=? AND id>?)",
        ),
        (
            "due",
            "SEARCH cqrs_outbox USING INDEX cqrs_outbox_due (next_attempt_at<?)",
        ),
        (
            "next_due",
            "SEARCH cqrs_outbox USING INDEX cqrs_outbox_due (next_attempt_at>?)",
        ),
        (
            "blocked",
            "SEARCH cqrs_outbox USING INDEX cqrs_outbox_due (next_attempt_at>?)",
        ),
        (
            "of_instances",
            "USING INDEX cqrs_outbox_instance (cqrs_id=? AND instance_pk=?)",
        ),
        ("confirm", "SEARCH row USING INTEGER PRIMARY KEY (rowid=?)"),
        (
            "postpone",
            "SEARCH cqrs_outbox USING INTEGER PRIMARY KEY (rowid=?)",
        ),
    ] {
        let (_, text) = statements("sqlite")
            .into_iter()
            .find(|(known, _)| known == name)
            .unwrap();
        let text = format!("explain query plan {text}");
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(text))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan: Vec<_> = plan.into_iter().map(|step| step.3).collect();
        let plan = plan.join("\n");
        assert!(plan.contains(expected), "{name}:\n{plan}");
        assert!(
            !plan.contains("SCAN cqrs_outbox") && !plan.contains("SCAN row"),
            "{name}:\n{plan}"
        );
    }
}

/// The work does not grow with the backlog of an instance: its first rows are found without the others.
#[tokio::test]
async fn the_first_rows_of_an_instance_cost_the_same_however_many_there_are() {
    let file = File::new().await;
    let mut connection = SqliteConnection::connect(file.url().expose())
        .await
        .unwrap();
    let (_, text) = statements("sqlite")
        .into_iter()
        .find(|(name, _)| name == "of_instances")
        .unwrap();
    let mut steps = Vec::new();
    for rows in [100, 10_000] {
        sqlx::query(
            "insert into cqrs_outbox
                 (message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at)
             with recursive n (n) as (select 1 union all select n + 1 from n where n < ?1)
             select 'm' || n, 1, 'account', '7', 'SAVE', n, '{}', 0 from n",
        )
        .bind(rows)
        .execute(&mut connection)
        .await
        .unwrap();
        let taken = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&taken);
        let mut handle = connection.lock_handle().await.unwrap();
        handle.set_progress_handler(1, move || {
            counter.fetch_add(1, Ordering::Relaxed);
            true
        });
        drop(handle);
        let found = sqlx::query(sqlx::AssertSqlSafe(text.clone()))
            .bind(r#"[["account","7"]]"#)
            .bind(32)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(found.len(), 32);
        let mut handle = connection.lock_handle().await.unwrap();
        handle.remove_progress_handler();
        drop(handle);
        steps.push(taken.load(Ordering::Relaxed));
    }
    assert!(steps[1] < steps[0] * 2, "{steps:?}");
}
