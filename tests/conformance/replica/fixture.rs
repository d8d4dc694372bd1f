//! What a test of the suite needs of a database.

use std::{fmt::Debug, future::Future, time::Duration};

use cqrs_core::{CqrsId, QueueName, RetryPolicy, StoreError};
use cqrs_replica::{
    Applied, ApplyPolicy, DueLetters, Freshness, Incoming, Letter, LetterState, Model, Models,
    ReplicaSession, ReplicaStore, TableModel, reconcile::ReconcileStore,
};

use super::message::Message;

/// A fresh, migrated database.
pub(super) trait Fixture: Sized + Send + Sync + 'static {
    type Store: ReconcileStore;
    /// What `true` looks like as text.
    const TRUE: &'static str;
    /// What a column for floats makes of `NaN`.
    const NAN: &'static str;
    /// What 2026-01-02T03:04:05.678901Z looks like as [`Self::MOMENT`], with a `T` and a `Z` on the
    /// wire and without.
    const MOMENTS: [&'static str; 2];
    /// Reads `val.v` in UTC.
    const MOMENT: &'static str;
    /// What the bytes of `hi` look like as text.
    const HI: &'static str;
    /// What `P1DT02H03M04.5S` looks like as text.
    const LENGTH: &'static str;
    /// What `-P1DT02H` looks like as text.
    const NEGATIVE_LENGTH: &'static str;
    /// A statement, and the type of texts that it makes possible, which are equal in any case.
    const CASELESS: (&'static str, &'static str);

    fn new() -> impl Future<Output = Self>;

    /// A database without our tables.
    fn empty() -> impl Future<Output = Self>;

    fn store(&self) -> Self::Store;

    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// Runs a statement, in which `{decimal}`, `{wide}`, `{bigint}`, `{float}`, `{boolean}`,
    /// `{json_text}`, `{bytes}`, `{date}`, `{time}`, `{moment}`,
    /// `{interval}`, `{uuid}` and `{strict}` stand for what the database calls them.
    fn try_execute(&self, sql: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// What a query answers, whose columns are all text; null is `-`.
    fn rows(&self, sql: &str) -> impl Future<Output = Vec<String>> + Send;

    /// Runs a statement as a handler.
    fn inside(
        tx: &mut <Self::Store as ReplicaStore>::Connection,
        sql: String,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Makes two tables, `hen` and `egg`, whose rows refer to each other by these rules.
    fn circle(&self, rules: &str) -> impl Future<Output = ()> + Send;

    /// Statements that put a trigger on a table which keeps this write from each row.
    fn pass_over(table: &str, write: &str) -> String;

    /// Of a replica here, by the tests' own pool.
    fn freshness(&self, queue: QueueName, kept: Vec<CqrsId>) -> Freshness;

    /// All statements of the store.
    fn statements() -> &'static [(&'static str, &'static str)];

    /// Prepares a statement.
    fn prepare(&self, sql: &'static str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    fn execute(&self, sql: &str) -> impl Future<Output = ()> + Send {
        async move {
            if let Err(error) = self.try_execute(sql).await {
                panic!("{sql}: {error}");
            }
        }
    }

    fn session(&self) -> impl Future<Output = <Self::Store as ReplicaStore>::Session> + Send {
        async { self.store().session().await.unwrap() }
    }
}

/// A database with a session and models.
pub(super) struct Replica<F: Fixture> {
    pub(super) fixture: F,
    pub(super) session: <F::Store as ReplicaStore>::Session,
    pub(super) models: Models<F::Store>,
    pub(super) policy: ApplyPolicy,
}

impl<F: Fixture> Replica<F> {
    /// A replica of these models, after these statements.
    pub(super) async fn new(
        statements: &[&str],
        models: impl IntoIterator<Item = Model<F::Store>>,
    ) -> Self {
        let fixture = F::new().await;
        for sql in statements {
            fixture.execute(sql).await;
        }
        let session = fixture.session().await;
        Self {
            session,
            models: Models::new(models).unwrap(),
            policy: policy(),
            fixture,
        }
    }

    /// A replica of `account` with a name and a quantity.
    pub(super) async fn accounts() -> Self {
        Self::new(
            &[ACCOUNT],
            [table("account", TableModel::new("account", "id"))],
        )
        .await
    }

    pub(super) async fn apply(&mut self, batch: &[Message]) -> Vec<Applied> {
        self.try_apply(batch).await.unwrap()
    }

    pub(super) async fn try_apply(
        &mut self,
        batch: &[Message],
    ) -> Result<Vec<Applied>, StoreError> {
        let batch: Vec<Incoming> = batch.iter().map(Message::incoming).collect();
        self.session.apply(&self.models, &self.policy, &batch).await
    }

    /// Applies one message.
    pub(super) async fn one(&mut self, message: &Message) -> Applied {
        let mut answers = self.apply(std::slice::from_ref(message)).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub(super) async fn set_aside(&mut self, message: &Message) -> Applied {
        let message = message.incoming();
        self.session
            .set_aside(&self.models, &self.policy, &message, "a test")
            .await
            .unwrap()
    }

    pub(super) async fn due(&mut self) -> DueLetters {
        self.session
            .apply_due(&self.models, &self.policy, 100)
            .await
            .unwrap()
    }

    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        self.fixture.rows(sql).await
    }

    /// All letters, oldest first.
    pub(super) async fn letters(&mut self) -> Vec<Letter> {
        let mut letters = self
            .session
            .letter_list(&self.policy.queue, None, 1000)
            .await
            .unwrap();
        letters.reverse();
        letters
    }

    /// State and reason of all letters, oldest first.
    pub(super) async fn letter_states(&mut self) -> Vec<(LetterState, String)> {
        self.letters()
            .await
            .into_iter()
            .map(|letter| (letter.state, letter.reason))
            .collect()
    }

    /// Makes all open letters due.
    pub(super) async fn make_due(&self) {
        let sql = "update cqrs_dead_letter set next_attempt_at = created_at
                   where next_attempt_at is not null";
        self.fixture.execute(sql).await;
    }
}

pub(super) const ACCOUNT: &str =
    "create table account (id integer primary key, name text not null, qty integer) {strict}";

pub(super) fn policy() -> ApplyPolicy {
    ApplyPolicy::new(QueueName::new("billing").unwrap())
}

pub(super) fn id(text: &str) -> CqrsId {
    CqrsId::new(text).unwrap()
}

pub(super) fn table<S: ReplicaStore>(cqrs_id: &str, table: TableModel) -> Model<S> {
    Model::table(id(cqrs_id), table)
}

/// A policy that gives up after this many attempts, without delay between them.
pub(super) fn attempts(max: u32) -> RetryPolicy {
    RetryPolicy {
        initial: Duration::ZERO,
        jitter: 0.0,
        max_attempts: Some(max),
        ..RetryPolicy::default()
    }
}

pub(super) const APPLIED: Applied = Applied::Applied {
    gap: 0,
    expired: false,
};

#[track_caller]
pub(super) fn assert_eq_rows(found: &[impl AsRef<str> + Debug], expected: &[&str]) {
    let found: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
    assert_eq!(found, expected);
}

/// Names the tests of a database.
macro_rules! conformance {
    ($fixture:ty: $($module:ident::$name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$module::$name::<$fixture>().await;
            }
        )+
    };
}

/// The tests that every database passes.
macro_rules! suite {
    ($fixture:ty) => {
        conformance!($fixture:
            tables::a_row_follows_its_instance,
            tables::only_the_last_state_of_a_batch_is_written,
            tables::a_gap_is_counted_not_waited_for,
            tables::a_re_created_row_keeps_nothing_of_the_deleted_one,
            tables::a_named_field_that_an_event_lacks_is_its_failure,
            tables::members_go_into_the_columns_they_are_mapped_to,
            tables::members_without_a_column_are_ignored,
            tables::a_column_that_is_not_sent_keeps_its_value,
            tables::null_is_a_value,
            tables::keys_may_be_text_uuids_or_composite,
            tables::a_delete_with_the_wrong_number_of_key_parts_takes_nothing,
            tables::keys_that_differ_only_in_case_are_two,
            tables::a_key_may_change_its_case,
            tables::odd_names_are_quoted,
            tables::a_table_of_nothing_but_its_key_works,
            tables::a_delete_takes_rows_from_before_the_bookkeeping,
            tables::a_column_added_later_is_filled_by_new_sessions,
            tables::a_column_that_is_there_before_its_first_value_misses_none,
            tables::a_column_just_added_is_filled_by_a_sync,
            values::decimals_keep_every_digit,
            values::decimals_may_be_strings,
            values::dates_times_and_uuids_arrive,
            values::base64_becomes_bytes,
            values::what_is_not_base64_is_refused,
            values::lengths_of_time_arrive,
            values::integers_beyond_64_bits_keep_every_digit,
            values::text_is_any_unicode,
            values::booleans_arrive,
            values::nested_values_stay_json,
            values::a_float_that_is_no_number_arrives,
            values::large_integers_arrive,
            faults::a_missing_column_is_named,
            faults::a_wrong_type_names_the_column_and_not_the_value,
            faults::null_where_none_may_be_is_named,
            faults::a_violated_constraint_is_named,
            faults::a_number_out_of_range_names_the_column_and_not_the_value,
            faults::a_key_of_the_wrong_type_names_the_column,
            faults::a_value_that_must_be_unique_names_its_columns,
            faults::a_bad_message_costs_only_itself,
            faults::a_bad_message_does_not_hold_back_its_instance_in_a_table,
            faults::a_dropped_table_is_waited_for,
            faults::a_renamed_column_is_noticed,
            faults::a_mended_table_is_noticed,
            faults::a_letter_is_judged_by_the_mended_table,
            faults::an_event_that_keeps_failing_becomes_a_dead_letter,
            faults::equal_failures_have_equal_fingerprints,
            faults::all_problems_of_all_models_are_reported_at_once,
            faults::a_failed_message_given_again_is_still_one_letter,
            faults::a_dead_message_given_again_is_still_one_letter,
            faults::an_equal_revision_is_not_the_same_message,
            paused::a_model_whose_column_is_missing_goes_on_when_it_is_back,
            paused::a_model_whose_table_is_gone_goes_on_when_it_is_back,
            paused::another_session_takes_up_what_was_kept,
            references::a_row_waits_for_the_one_it_refers_to,
            references::a_parent_wakes_those_that_wait_for_it_and_no_others,
            references::a_batch_goes_on_without_those_that_wait,
            references::one_batch_may_hold_parents_and_children_in_any_order,
            references::a_row_without_a_reference_waits_for_nothing,
            references::a_row_may_refer_to_its_own_table,
            references::keys_of_several_columns_are_waited_for,
            references::a_deferred_key_is_waited_for_too,
            references::a_parent_that_never_comes_ends_the_wait,
            references::a_circle_of_references_ends_in_dead_letters,
            references::a_delete_waits_for_the_rows_that_refer_to_it,
            references::the_rule_of_the_table_decides_about_a_delete,
            references::a_row_that_has_moved_does_not_go_with_its_old_parent,
            references::a_later_state_supersedes_the_waiting_one,
            references::a_waiting_message_given_again_is_one_letter,
            references::a_row_that_no_model_writes_is_looked_for,
            references::a_handlers_row_waits_too,
            references::a_handlers_row_may_be_refused_at_the_end,
            references::without_a_wait_attempts_count,
            references::a_parent_with_many_children_wakes_them_in_portions,
            references::no_parent_comes_unnoticed,
            trees::a_tree_needs_no_order_within_a_batch,
            trees::a_deep_tree_is_deleted_in_whatever_order_it_comes,
            trees::a_deep_tree_arrives_in_whatever_order_it_comes,
            unique::values_change_places_within_a_batch,
            unique::values_change_places_across_lanes,
            unique::what_a_deleted_row_had_may_be_taken_in_the_same_batch,
            unique::a_value_is_waited_for_and_taken_at_once,
            unique::what_only_the_replica_knows_is_kept,
            order::a_deleted_instance_stays_deleted,
            order::a_deleted_instance_can_be_created_again,
            order::a_delete_before_the_create_wins,
            order::a_redelivery_changes_nothing,
            order::shuffled_histories_converge,
            order::sessions_on_the_same_instances_get_along,
            order::django_may_restart_at_zero,
            order::a_late_save_of_an_earlier_life_changes_nothing,
            order::a_master_may_begin_to_count,
            syncs::a_sync_repairs_the_row_of_its_revision,
            syncs::the_same_sync_is_applied_once,
            syncs::syncs_that_share_an_id_are_each_judged,
            syncs::a_sync_does_not_go_back_unless_allowed,
            syncs::a_forced_sync_goes_back,
            syncs::a_forced_sync_stays_forced_as_a_letter,
            syncs::a_sync_does_not_bring_back_the_dead,
            syncs::only_direct_syncs_are_applied_where_that_is_asked_for,
            syncs::a_sync_that_waited_is_judged_by_how_it_came,
            retries::a_model_may_decide_itself,
            retries::a_model_may_leave_it_to_the_policy,
            retries::what_a_handler_decides_is_not_asked_about,
            retries::without_a_limit_it_goes_on_for_ever,
            handlers::a_handler_sees_each_event_once,
            handlers::what_a_failed_handler_wrote_is_gone,
            handlers::a_parked_event_is_dead_at_once,
            handlers::retry_after_is_taken_at_its_word,
            handlers::a_panic_becomes_a_dead_letter,
            handlers::attempts_run_out,
            handlers::an_error_that_a_handler_swallows_is_found_out,
            handlers::a_handler_that_ends_the_transaction_is_parked,
            handlers::a_lost_race_is_not_counted,
            handlers::a_handler_needs_no_database,
            handlers::a_latest_handler_skips_what_is_overtaken,
            hooks::each_step_has_its_hook,
            hooks::a_hook_left_out_does_what_the_table_does,
            hooks::a_hook_may_change_or_replace_the_default,
            hooks::a_hook_sees_the_data_as_the_table_does,
            hooks::what_a_failed_hook_wrote_is_gone,
            hooks::what_the_table_refuses_costs_one_event,
            hooks::a_renamed_column_is_noticed_through_hooks,
            hooks::a_row_from_before_the_bookkeeping_is_created_again,
            hooks::hooks_see_every_revision_in_order,
            hooks::latest_hooks_skip_what_is_overtaken,
            hooks::a_hooked_row_waits_for_the_hooked_row_it_refers_to,
            in_step::a_revision_waits_for_the_one_before_it,
            in_step::a_batch_in_the_wrong_order_needs_no_letter,
            in_step::a_second_life_in_one_batch_keeps_its_place,
            in_step::a_long_row_of_waits_is_taken_up,
            in_step::a_wait_ends,
            in_step::a_wait_does_not_end_while_a_worker_may_have_the_one_before,
            in_step::in_step_a_failure_is_never_dead_by_default,
            in_step::without_a_wait_a_gap_is_passed_at_once,
            in_step::later_revisions_wait_behind_a_failed_one,
            in_step::later_revisions_wait_behind_one_set_aside,
            in_step::waits_behind_a_failed_one_are_renewed_ever_more_seldom,
            in_step::a_dead_revision_lets_the_next_ones_go,
            in_step::a_sync_says_where_an_unknown_instance_stands,
            in_step::a_redelivered_wait_is_taken_up,
            in_step::a_message_alone_wakes_the_letter_behind_it,
            in_step::two_sessions_keep_the_order_under_shuffle,
            anything::a_model_that_cannot_be_one_is_kept_whole,
            anything::whatever_comes_ends,
            anything::a_body_of_many_megabytes_is_kept_whole,
            anything::many_members_are_taken,
            letters::an_unreadable_body_is_kept_byte_by_byte,
            letters::a_negative_revision_is_unreadable,
            letters::an_unreadable_message_given_again_is_one_letter,
            letters::messages_that_share_an_id_are_each_judged,
            letters::a_letter_knows_its_message,
            letters::letters_are_listed_newest_first,
            letters::a_dead_letter_is_applied_when_retried,
            letters::a_letter_in_backoff_can_be_hurried,
            letters::a_discarded_letter_is_left_alone,
            letters::a_newer_state_supersedes_a_retrying_letter,
            letters::a_second_delete_supersedes_a_retrying_letter,
            letters::an_unknown_model_is_waited_for,
            letters::an_unknown_model_is_not_waited_for_for_ever,
            letters::a_retried_letter_of_an_unknown_model_waits_anew,
            letters::an_in_step_handler_that_comes_late_gets_them_in_order,
            letters::an_expired_message_is_judged_by_the_model,
            letters::an_expired_event_is_applied_when_someone_wants_it,
            letters::a_message_set_aside_is_one_letter_without_an_attempt,
            letters::queues_do_not_mix,
            letters::due_letters_are_shared_out,
            broker_letters::an_imported_message_is_a_dead_letter,
            broker_letters::imported_messages_that_share_an_id_are_each_kept,
            broker_letters::an_import_may_be_retried_at_once,
            broker_letters::dead_letters_are_held_by_who_publishes_them,
            broker_letters::one_that_dies_again_is_published_again,
            bookkeeping::status_counts_what_there_is,
            bookkeeping::workers_show_while_they_live,
            bookkeeping::the_need_to_reconcile_is_not_forgotten,
            bookkeeping::tombstones_are_pruned_by_age,
            bookkeeping::a_tombstone_stays_while_a_letter_of_its_instance_may_be_retried,
            bookkeeping::a_resolved_letter_keeps_no_body,
            bookkeeping::letters_are_pruned_by_state_and_age,
            freshness::what_is_applied_is_fresh_at_once,
            freshness::what_comes_later_is_noticed,
            freshness::a_delete_is_waited_for,
            freshness::a_tombstone_of_another_count_says_nothing,
            freshness::models_that_are_not_kept_are_not_waited_for,
            freshness::another_queues_state_is_not_this_ones,
            freshness::keys_are_taken_as_they_are,
            freshness::a_letter_that_holds_an_event_is_named,
            freshness::a_dead_letter_is_named,
            freshness::a_database_without_the_tables_is_an_error,
            freshness::two_hundred_who_wait_make_few_statements,
            freshness::whoever_looks_may_be_dropped_at_any_moment,
            spans::a_handlers_lines_know_their_event,
            spans::what_became_of_an_event_is_said_with_its_correlation,
            spans::rows_that_a_trigger_keeps_are_counted_in_the_log,
            schema::every_statement_prepares,
            schema::migrating_again_changes_nothing,
            schema::a_database_without_the_tables_is_refused,
            schema::a_newer_schema_is_refused,
            schema::a_newer_schema_that_only_adds_is_used,
        );
    };
}
