//! The outbox in PostgreSQL.

use cqrs_core::database::postgres::PostgresConfig;
use cqrs_outbox::{Instance, Owner, RowRef, postgres::PostgresStore};
use cqrs_tests::postgres::TestDatabase;
use sqlx::{
    Connection, Executor, PgConnection, PgPool, Postgres, SqlSafeStr, Transaction,
    postgres::PgPoolOptions,
};

use super::{
    fixture::{Fixture, NewRow, fresh_id},
    statements::statements,
};

mod large;
mod plans;
mod stress;

/// A database on the tests' server.
pub(super) struct Database {
    database: TestDatabase,
    pool: PgPool,
}

impl Fixture for Database {
    type Store = PostgresStore;
    type Open = Transaction<'static, Postgres>;

    const SPOILINGS: &[(&str, &str)] = &[
        (
            "cqrs_id",
            "update cqrs_outbox set cqrs_id = 'bad id' where instance_pk = 'bad'",
        ),
        (
            "cqrs_id",
            "update cqrs_outbox set cqrs_id = '' where instance_pk = 'bad'",
        ),
        (
            "queue",
            "update cqrs_outbox set queue = 'not#a#queue' where instance_pk = 'bad'",
        ),
        (
            "created_at",
            "update cqrs_outbox set created_at = 'infinity' where instance_pk = 'bad'",
        ),
        (
            "created_at",
            "update cqrs_outbox set created_at = '-infinity' where instance_pk = 'bad'",
        ),
        (
            "created_at",
            "update cqrs_outbox set created_at = '294000-01-01' where instance_pk = 'bad'",
        ),
    ];

    const WAIT: &str = "update cqrs_outbox
        set attempts = 1, next_attempt_at = now() + id * interval '1 microsecond'";

    const NEVER: &str = "update cqrs_outbox set next_attempt_at = 'infinity'";

    async fn new() -> Self {
        let database = TestDatabase::create().await.unwrap();
        cqrs_outbox::migrate(&database.secret_url()).await.unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(24)
            .connect(database.url())
            .await
            .unwrap();
        Self { database, pool }
    }

    fn store(&self) -> PostgresStore {
        PostgresStore::new(PostgresConfig::new(
            self.database.secret_url(),
            "cqrs-tests",
        ))
    }

    async fn begin(&self) -> Self::Open {
        self.pool.begin().await.unwrap()
    }

    async fn insert(open: &mut Self::Open, row: &NewRow) -> RowRef {
        let message_id = fresh_id();
        let id = sqlx::query_scalar(
            "insert into cqrs_outbox
                (message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, expires_at)
             values ($1, $2, $3, $4, 'SAVE', $5, $6, $7,
                     clock_timestamp() + $8 * interval '1 second')
             returning id",
        )
        .bind(message_id)
        .bind(i16::try_from(row.slot.number()).unwrap())
        .bind(row.instance.cqrs_id.as_str())
        .bind(&row.instance.instance_pk)
        .bind(row.queue)
        .bind(row.revision)
        .bind(row.body.as_bytes())
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
             values ($1, $2, $3, now(), false)",
        )
        .bind(instance.cqrs_id.as_str())
        .bind(&instance.instance_pk)
        .bind(revision)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn expire(&self, owner: Owner) {
        let sql = "update cqrs_relay set expires_at = now() - interval '1 ms' where owner = $1";
        let done = sqlx::query(sql)
            .bind(owner.0)
            .execute(&self.pool)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    async fn make_due(&self) {
        self.execute(
            "update cqrs_outbox set next_attempt_at = next_attempt_at - interval '1 hour'
             where next_attempt_at is not null",
        )
        .await;
    }
}

conformance!(Database:
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
    late::a_late_commit_is_found_once,
    late::transactions_that_commit_in_reverse_order_are_all_found,
    late::an_id_drawn_before_and_written_after_a_fetch_is_found,
    late::a_transaction_held_open_holds_up_nobody_else,
    late::many_late_rows_come_in_pages,
    late::late_rows_of_other_slots_stay_out,
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
    dead::dead_rows_die_on_where_their_ids_have_stopped,
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

#[tokio::test]
async fn dead_rows_of_before_keep_their_ids() {
    let fixture = Database::new().await;
    fixture.execute("drop table cqrs_outbox_dead").await;
    fixture.execute(OLD_DEAD).await;
    fixture
        .execute(
            "insert into cqrs_outbox_dead (id, message_id, slot, cqrs_id, instance_pk, signal,
                revision, body, created_at, attempts, reason)
            select n, gen_random_uuid(), 1, 'account', 'old', 'SAVE', 0, '{}', now(), 1, 'failed'
            from unnest(array[9, 7]) as n",
        )
        .await;
    let migration = include_str!("../../../../migrations/postgres/outbox/0006_dead_rows.sql");
    fixture
        .pool
        .execute(sqlx::raw_sql(migration))
        .await
        .unwrap();
    super::dead::dead_rows_of_before_keep_their_ids(fixture).await;
}

const OLD_DEAD: &str = "create table cqrs_outbox_dead (
    id          bigint primary key,
    message_id  uuid not null,
    slot        smallint not null,
    cqrs_id     text collate \"C\" not null,
    instance_pk text collate \"C\" not null,
    signal      text not null,
    queue       text,
    revision    bigint not null,
    body        bytea not null,
    traceparent text,
    created_at  timestamptz not null,
    expires_at  timestamptz,
    attempts    integer not null,
    reason      text not null check (reason in ('failed', 'expired', 'no_queue')),
    error       text,
    died_at     timestamptz not null default clock_timestamp(),
    superseded  boolean not null default false,
    forced      boolean not null default false
)";

#[tokio::test]
async fn every_statement_prepares() {
    let fixture = Database::new().await;
    let mut connection = PgConnection::connect(fixture.database.url()).await.unwrap();
    for (name, text) in statements("postgres") {
        let prepared = (&mut connection)
            .prepare(sqlx::AssertSqlSafe(text).into_sql_str())
            .await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.err().unwrap());
    }
}

/// A retry waits for whoever is recording a change of the same instance, then sees it.
#[tokio::test]
async fn a_retry_waits_for_the_recording_of_a_later_revision() {
    use cqrs_outbox::{Buried, DeadReason, OutboxSession, Retried, Settlement};
    let fixture = Database::new().await;
    let mut session = fixture.session().await;
    fixture.know(&super::fixture::instance("a"), 0).await;
    let added = fixture.add(&[super::fixture::row(1, "a")]).await;
    let buried = Buried {
        row: added[0],
        reason: DeadReason::Failed,
        error: String::new(),
        attempts: 1,
    };
    let settlement = Settlement {
        dead: vec![buried],
        ..Settlement::default()
    };
    session.settle(&settlement, &[]).await.unwrap();

    let mut open = fixture.begin().await;
    open.execute("update cqrs_revision set revision = revision + 1")
        .await
        .unwrap();
    let retry = session.dead_retry(None, false);
    let commit = async {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        while fixture.number(waiting).await == 0 {
            tokio::task::yield_now().await;
        }
        Database::commit(open).await;
    };
    let (retried, ()) = tokio::join!(retry, commit);
    assert_eq!(
        retried.unwrap(),
        Retried {
            retried: 0,
            superseded: 1
        }
    );
}
