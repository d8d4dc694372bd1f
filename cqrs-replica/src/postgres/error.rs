//! Whose fault an error is.

use std::{error::Error, future::Future, time::Duration};

use cqrs_core::{
    StoreError,
    database::{postgres::classify, within},
};
use sqlx::postgres::PgDatabaseError;

use crate::{
    apply::Failed,
    letter::{Fault, Reason, Violated, in_words},
    table::quoted,
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
        _ if code == TOO_LONG => Fault::new(
            Reason::TooLong,
            format!("a value is too long for its column ({code})"),
        ),
        // The message holds the value, so it is not repeated; the column is found separately.
        "22" => Fault::new(
            Reason::Type,
            format!("a column does not take its value ({code})"),
        ),
        _ if code == DATATYPE_MISMATCH => Fault::new(
            Reason::Type,
            format!("a column does not take its value ({code})"),
        ),
        _ if is_reference(refused) => Fault {
            constraint: constraint(refused),
            ..Fault::reference(violated(refused))
        },
        "23" => Fault {
            constraint: constraint(refused),
            unique: code == UNIQUE_VIOLATION,
            ..Fault::new(Reason::Constraint, violated(refused))
        },
        "42" | "3F" | "0A" if is_of_row(refused) => Fault::new(Reason::Schema, refused.message()),
        "42" | "3F" | "0A" => Fault::table(refused.message()),
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

fn constraint(error: &PgDatabaseError) -> Option<Box<Violated>> {
    let violated = Violated {
        table: format!("{}.{}", quoted(error.schema()?), quoted(error.table()?)),
        name: error.constraint()?.to_owned(),
    };
    Some(Box::new(violated))
}

/// Whether it was a rule about rows that refused: one of row level security, or a trigger's own.
fn is_of_row(error: &PgDatabaseError) -> bool {
    matches!(
        error.routine(),
        Some("ExecWithCheckOptions" | "exec_stmt_raise")
    )
}

fn is_reference(error: &PgDatabaseError) -> bool {
    matches!(error.code(), FOREIGN_KEY_VIOLATION | RESTRICT_VIOLATION)
}

/// Whether a handler failed for the sake of a row that another one refers to.
pub(super) fn is_unmet_reference(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |error| {
        error
            .downcast_ref()
            .and_then(refusal)
            .is_some_and(is_reference)
    })
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
    any_cause(error, |error| {
        match (error.downcast_ref(), error.downcast_ref()) {
            (Some(error), _) => refusal(error)
                .is_some_and(|error| matches!(error.code(), "40001" | "40P01" | "55P03")),
            (None, Some(error)) => matches!(error, StoreError::Conflict(_)),
            (None, None) => false,
        }
    })
}

fn any_cause(error: &(dyn Error + 'static), is: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if is(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the server has ended the statement for the time it took or has waited for a lock.
pub(super) fn is_timed_out(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |error| {
        let error = error.downcast_ref::<PgDatabaseError>();
        error.is_some_and(|error| matches!(error.code(), QUERY_CANCELED | LOCK_NOT_AVAILABLE))
    })
}

/// Whether the server has ended the statement for the time it took.
pub(super) fn is_cancelled(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| error.code() == QUERY_CANCELED)
}

/// Whether a statement of ours is refused for the sake of a value in it: a text that the database's
/// encoding lacks, or one beyond a limit.
pub(super) fn refuses(error: &StoreError) -> bool {
    let StoreError::Backend(source) = error else {
        return false;
    };
    let code = source
        .downcast_ref::<PgDatabaseError>()
        .map(PgDatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("54"))
        || matches!(source.downcast_ref(), Some(sqlx::Error::Encode(_)))
}

fn refusal(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

const TOO_LONG: &str = "22001";
const RESTRICT_VIOLATION: &str = "23001";
const FOREIGN_KEY_VIOLATION: &str = "23503";
const UNIQUE_VIOLATION: &str = "23505";
const DATATYPE_MISMATCH: &str = "42804";
const NO_ACTIVE_TRANSACTION: &str = "25P01";
const IN_FAILED_TRANSACTION: &str = "25P02";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const QUERY_CANCELED: &str = "57014";
const NO_SUCH_SAVEPOINT: &str = "3B001";
