//! The master's commands: reading tables, sync, dump, diff.

mod concurrent;
mod derived;
mod fixture;
mod reader;
mod streams;
mod sync;
mod unreadable;

/// Runs each scenario on either database.
macro_rules! on_both {
    ($($module:ident::{$($test:ident),* $(,)?}),* $(,)?) => {
        #[cfg(feature = "servers")]
        mod postgres {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    let world = crate::master::fixture::Postgres::create().await.unwrap();
                    crate::master::$module::$test(world).await.unwrap();
                })*
            })*
        }

        mod sqlite {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    let world = crate::master::fixture::Sqlite::create().await.unwrap();
                    crate::master::$module::$test(world).await.unwrap();
                })*
            })*
        }
    };
}

on_both! {
    reader::{
        keys_of_each_kind_come_once_and_in_order,
        instances_without_a_revision_get_one,
        a_filter_chooses_the_rows,
    },
    concurrent::{
        a_snapshot_is_of_one_moment,
        what_leaves_during_a_dump_does_not_come_back,
        two_snapshots_at_once_both_have_all,
        pages_lose_and_double_nothing,
    },
    derived::{
        what_is_read_is_what_its_code_says,
        what_is_sent_is_what_its_code_says,
        a_row_its_code_cannot_read_costs_only_itself,
        its_own_program_has_all_commands,
    },
    streams::{
        a_dump_is_that_of_django,
        a_file_is_whole_or_not_there,
        a_diff_is_that_of_django,
        a_deleted_diff_is_that_of_django,
        a_stream_that_is_none_is_refused_by_its_line,
        a_reader_that_leaves_is_told_of,
    },
    sync::{
        rows_are_named_or_all_are_meant,
        a_bad_filter_says_what_is_wrong,
        no_more_than_so_many_are_unsent,
        an_interrupted_sync_goes_on_where_it_was,
        a_rate_is_kept,
        a_diff_is_sent_to_the_queue_that_it_names,
        a_queue_that_is_not_there_is_noticed,
        live_changes_and_a_sync_are_in_order,
    },
}
