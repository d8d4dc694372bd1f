//! Whose fault an error is.

use std::{error::Error, future::Future, time::Duration};

use cqrs_core::{
    StoreError,
    database::{postgres::classify, within},
};
use sqlx::postgres::PgDatabaseError;

use crate::{
    apply::Failed,
    letter::{Fault, Reason, in_words},
};

/// Runs a statement of ours within the time for one.
pub(super) async fn run<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    within(limit, classify, call).await
}

/// Runs a statement on the user's tables: what the database refuses is the message's fault.
pub(super) async fn try_run<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Failed> {
    within(limit, classify, async { Ok(call.await) })
        .await?
        .map_err(failed)
}

/// The fault behind an error of a statement on the user's tables.
fn failed(error: sqlx::Error) -> Failed {
    let Some(refused) = refusal(&error) else {
        return Failed::Store(classify(error));
    };
    let code = refused.code().to_owned();
    let fault = match code.get(..2).unwrap_or_default() {
        // The message holds the value, so it is not repeated; the column is found separately.
        "22" => Fault::new(
            Reason::Type,
            format!("a column does not take its value ({code})"),
        ),
        _ if code == DATATYPE_MISMATCH => Fault::new(
            Reason::Type,
            format!("a column does not take its value ({code})"),
        ),
        "23" => Fault::new(Reason::Constraint, violated(refused)),
        "42" | "3F" | "0A" => Fault::new(Reason::Schema, refused.message()),
        _ => {
            let transient = match classify(error) {
                StoreError::Backend(error) => {
                    let fault = Fault::new(Reason::Database, in_words(&*error));
                    return Failed::Fault { fault, lost: false };
                }
                other => other,
            };
            return Failed::Store(transient);
        }
    };
    Failed::Fault { fault, lost: false }
}

fn violated(error: &PgDatabaseError) -> String {
    match (error.constraint(), error.column()) {
        (Some(constraint), _) => format!("{} (constraint {constraint:?})", error.message()),
        (None, Some(column)) => format!("column {column:?} must not be null"),
        (None, None) => error.message().to_owned(),
    }
}

/// Whether the database refused the statement because its transaction has failed or is gone.
pub(super) fn has_no_transaction(error: &sqlx::Error) -> bool {
    refusal(error).is_some_and(|error| {
        matches!(
            error.code(),
            NO_ACTIVE_TRANSACTION | NO_SUCH_SAVEPOINT | "2D000"
        )
    })
}

/// Whether it failed because of a statement that failed before.
pub(super) fn is_aborted(error: &sqlx::Error) -> bool {
    refusal(error).is_some_and(|error| error.code() == IN_FAILED_TRANSACTION)
}

/// Whether a handler failed only because it lost against a concurrent transaction.
pub(super) fn lost_a_race(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let lost = match (
            error.downcast_ref::<sqlx::Error>(),
            error.downcast_ref::<StoreError>(),
        ) {
            (Some(error), _) => refusal(error)
                .is_some_and(|error| matches!(error.code(), "40001" | "40P01" | "55P03")),
            (None, Some(error)) => matches!(error, StoreError::Conflict(_)),
            (None, None) => false,
        };
        if lost {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the server has ended the statement for the time it took.
pub(super) fn is_cancelled(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| error.code() == QUERY_CANCELED)
}

fn refusal(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

const DATATYPE_MISMATCH: &str = "42804";
const NO_ACTIVE_TRANSACTION: &str = "25P01";
const IN_FAILED_TRANSACTION: &str = "25P02";
const QUERY_CANCELED: &str = "57014";
const NO_SUCH_SAVEPOINT: &str = "3B001";
