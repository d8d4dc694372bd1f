//! The replica's half: the real program on both databases.

mod bad_rows;
mod clearing;
mod diffs;
mod letters;
mod live;
mod load;
mod site;

/// Names the tests of a database.
macro_rules! conformance {
    ($engine:ty: $($module:ident::$name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$module::$name::<$engine>().await;
            }
        )+
    };
}

/// The tests that every database passes.
macro_rules! suite {
    ($engine:ty) => {
        conformance!($engine:
            load::a_dump_of_django_and_one_of_ours_are_loaded,
            load::a_dump_given_twice_changes_nothing,
            load::keys_may_be_text_uuids_or_composite,
            load::only_what_is_newer_is_written,
            load::what_is_no_dump_of_a_known_model_is_refused,
            load::a_load_may_begin_at_a_later_line,
            load::standard_input_is_read,
            bad_rows::a_bad_row_costs_only_itself,
            bad_rows::lines_that_are_no_rows_are_passed_over,
            bad_rows::rows_wait_for_the_rows_they_refer_to,
            live::live_events_and_a_load_end_in_the_latest_state,
            live::a_delete_that_the_dump_has_overtaken_takes_nothing,
            live::a_handler_gets_the_rows_as_syncs_and_each_once,
            live::a_load_that_is_stopped_says_where_to_go_on,
            clearing::the_table_holds_the_dump_and_what_has_come_since,
            clearing::nothing_is_removed_when_a_row_fails,
            clearing::an_incomplete_dump_removes_nothing,
            clearing::clear_is_a_switch_and_takes_no_value,
            diffs::another_revision_no_row_and_no_state_are_found,
            diffs::another_content_at_the_same_revision_is_found,
            diffs::what_is_no_stream_is_refused,
            diffs::keys_are_listed_in_order_and_by_filter,
            diffs::composite_and_text_keys_are_listed_and_compared,
            diffs::what_has_changed_since_is_spared,
            diffs::a_stream_without_its_end_is_not_taken_for_whole,
            diffs::what_was_removed_by_mistake_comes_back,
            letters::letters_are_chosen_by_model_reason_and_fingerprint,
            letters::bodies_are_dumped_and_stay,
            letters::what_is_purged_is_gone_for_good,
            letters::lists_say_what_they_leave_out,
            letters::discarded_letters_come_back,
        );
    };
}

#[cfg(feature = "servers")]
mod postgres {
    suite!(super::site::Postgres);
    conformance!(super::site::Postgres: diffs::what_changes_at_the_last_moment_is_spared);
}
mod sqlite {
    suite!(super::site::Sqlite);
}
