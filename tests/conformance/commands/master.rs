//! The master's commands: reading tables, sync, dump, diff.

mod fixture;
mod reader;

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
}
