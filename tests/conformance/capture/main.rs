//! Writes to a captured table, whoever makes them, are the events that recording them would have made.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

/// Runs each case on a fresh database.
macro_rules! conformance {
    ($fixture:ty: $($module:ident::{$($name:ident),+ $(,)?}),+ $(,)?) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            crate::cases::$module::$name(<$fixture as crate::fixture::Fixture>::new().await).await;
        }
    )+)+};
}

/// The cases that hold on every database.
macro_rules! suite {
    ($fixture:ty) => {
        conformance!($fixture:
            histories::{
                captured_histories_are_the_recorded_ones,
                what_is_unchanged_is_skipped_on_demand,
            },
            both::{
                a_write_and_its_record_are_one_event,
                what_begins_and_ends_in_a_transaction_is_nothing_for_both,
            },
            drift::{
                installing_is_idempotent_and_follows_the_model,
                a_changed_table_is_told,
                what_is_removed_captures_nothing,
                what_does_not_fit_is_refused_with_its_remedy,
            },
        );
    };
}

mod cases;
mod fixture;
#[cfg(feature = "servers")]
mod postgres;
mod sqlite;
