//! Recording: revisions, bodies, calls, and the schema behind them.

mod body;
mod bulk;
mod calls;
mod concurrency;
mod current;
mod fixture;
mod recorder;
mod refusals;
mod revisions;
mod schema;
mod transactions;

/// Each of these on a fresh database.
macro_rules! conformance {
    ($fixture:ty: $($module:ident::{$($name:ident),+ $(,)?}),+ $(,)?) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            crate::record::$module::$name(<$fixture as crate::record::fixture::Fixture>::new().await).await;
        }
    )+)+};
}

/// The suite: its names, once.
macro_rules! suite {
    ($fixture:ty) => {
        conformance!($fixture:
            revisions::{
                the_first_revision_is_0_and_none_is_left_out,
                an_instance_that_comes_back_goes_on_counting,
                instances_count_by_themselves,
                a_rollback_leaves_nothing,
                a_rolled_back_savepoint_leaves_nothing,
                the_time_rises_with_the_revision_whatever_the_clock_does,
                a_sync_carries_the_revision,
                a_sync_of_a_deleted_instance_brings_it_back,
                a_direct_sync_names_its_queue,
                what_is_filtered_out_is_deleted_once_and_then_nothing,
                what_was_published_and_leaves_the_filter_is_deleted_recorded_or_not,
            },
            body::{
                a_save_has_the_nine_keys_and_the_forms_of_django,
                a_delete_has_the_id_and_its_custom_data,
                a_whole_second_has_no_fraction,
                a_time_to_live_is_written_in_whole_seconds,
                text_of_any_kind_arrives_as_it_was,
                previous_data_names_what_changed,
            },
            calls::{
                many_at_once_get_ids_in_their_order,
                an_instance_twice_in_one_call_is_one_event,
                a_thousand_in_one_call,
                syncs_and_saves_in_one_call_keep_to_themselves,
                nothing_at_all_is_fine,
                what_is_not_produced_is_not_written,
            },
            bulk::{
                rows_are_created_with_their_events,
                rows_are_updated_with_their_old_values,
                rows_that_are_not_there_are_counted,
                rows_the_database_refuses_name_their_table,
                what_makes_no_rows_is_found_before_any_is_written,
                updates_in_opposite_orders_do_not_deadlock,
                rows_may_be_silent_many_none_or_nothing_but_a_key,
            },
            concurrency::{
                two_writers_of_one_row_get_consecutive_revisions,
                calls_in_opposite_orders_do_not_deadlock,
                a_cancelled_begin_leaves_no_transaction_behind,
            },
            current::{
                the_current_state_is_read_under_the_lock,
                a_first_record_of_the_current_state_is_revision_0,
                a_failed_read_uses_up_no_revision,
                the_state_of_another_instance_is_refused,
                rows_with_related_ones_are_read_in_one_query_under_their_locks,
            },
            recorder::{
                meta_sees_signal_data_and_previous_data,
                the_change_comes_before_the_model_and_the_model_before_the_recorder,
                an_impossible_time_to_live_is_refused,
            },
            transactions::{
                they_are_one_event_with_the_last_state_and_the_first_old_values,
                events_that_share_an_id_may_be_replaced_together,
                what_is_changed_back_has_no_old_value,
                the_next_transaction_is_another_event,
                a_save_and_a_delete_are_a_delete_and_the_other_way_round_a_save,
                what_begins_and_ends_in_it_is_nothing,
                what_leaves_the_filter_is_deleted_once,
                a_savepoint_takes_its_part_back,
                direct_syncs_carry_the_last_state_too,
                an_untouched_direct_sync_keeps_what_was_said_of_it,
                each_step_can_be_an_event_of_its_own,
                a_step_of_its_own_does_not_survive_what_replaces_it,
                a_forced_sync_is_not_lost_in_a_save,
                old_values_of_states_in_between_are_not_sent,
                old_values_that_do_not_fit_are_left_out,
                replaying_the_events_gives_the_state_that_was_left,
            },
            refusals::{
                outside_of_a_transaction_nothing_is_recorded,
                what_cannot_be_sent_is_refused_before_anything_is_written,
                two_events_of_a_call_have_two_ids,
                missing_tables_are_named_with_the_remedy,
            },
            schema::{
                migrating_twice_changes_nothing,
                a_newer_schema_is_refused,
                a_newer_schema_that_only_adds_is_used,
                every_statement_prepares,
                keys_and_slots_are_those_the_database_makes,
            },
        );
    };
}

#[cfg(feature = "servers")]
mod postgres;
#[cfg(feature = "servers")]
mod round_trips;
mod sqlite;
