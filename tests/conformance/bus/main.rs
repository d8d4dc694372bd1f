//! The buses on real databases: what a command changes and records is committed with its result, or not
//! at all, and a query cannot write.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

/// Runs each case on a fresh database.
macro_rules! conformance {
    ($bed:ty: $($module:ident::{$($name:ident),+ $(,)?}),+ $(,)?) => {$($(
        #[tokio::test]
        async fn $name() {
            crate::cases::$module::$name(<$bed as crate::bed::Bed>::new().await).await;
        }
    )+)+};
}

/// The cases that hold on every database.
macro_rules! suite {
    ($bed:ty) => {
        conformance!($bed:
            commands::{
                change_event_and_result_are_committed_together,
                a_refusal_reaches_the_caller_and_leaves_nothing,
                a_failed_statement_leaves_nothing_and_is_not_tried_again,
                a_panic_is_rolled_back_and_the_bus_goes_on,
                a_cancelled_command_is_rolled_back,
                a_command_that_takes_too_long_is_rolled_back,
                an_invalid_command_is_told_all_that_is_wrong_without_a_database,
                events_carry_the_id_of_their_command,
            },
            tokens::{
                a_token_names_what_replicas_get,
                a_command_that_records_nothing_has_an_empty_token,
                changes_of_one_instance_are_one_event_of_the_token,
            },
            repetition::{
                a_repeated_command_has_the_first_result_and_changes_nothing,
                of_many_at_once_with_one_id_one_is_executed,
                an_id_is_for_one_command_only,
                a_refused_command_may_be_sent_again,
                what_is_forgotten_is_executed_again,
                a_result_that_cannot_be_read_any_more_is_named,
            },
            conflicts::{
                commands_that_add_at_once_all_count,
                a_conflict_is_tried_so_often_and_no_more,
            },
            queries::{
                a_query_is_answered_from_one_view,
                a_query_cannot_write,
                a_query_that_panics_or_is_refused_says_so,
                a_query_that_takes_too_long_is_given_up,
                an_invalid_query_is_told_all_that_is_wrong,
            },
            observation::{
                outcomes_are_counted_and_shown_in_spans,
            },
        );
    };
}

mod bed;
mod cases;
mod handlers;
#[cfg(feature = "servers")]
mod postgres;
mod sqlite;
