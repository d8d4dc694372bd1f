//! Whose fault an error is.

use std::{error::Error, future::Future, time::Duration};

use cqrs_core::{
    StoreError,
    database::{sqlite::classify, within},
};

use sqlx::{error::DatabaseError, sqlite::SqliteError};

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

/// The fault behind an error of a statement on the user's tables. The messages of SQLite name
/// columns and constraints, and hold no values.
fn failed(error: sqlx::Error) -> Failed {
    let message = error
        .as_database_error()
        .map(|error| error.message().to_owned());
    let fault = match (code(&error), message) {
        (Some(CONSTRAINT_DATATYPE | MISMATCH), Some(message)) => Fault::new(Reason::Type, message),
        (Some(TOO_BIG), Some(message)) => Fault::new(Reason::TooLong, message),
        (Some(_), Some(message)) if is_reference(&error) => Fault::reference(message),
        (Some(code), Some(message)) if code & 0xff == CONSTRAINT => Fault {
            unique: matches!(
                code,
                CONSTRAINT_UNIQUE | CONSTRAINT_PRIMARYKEY | CONSTRAINT_ROWID
            ),
            ..Fault::new(Reason::Constraint, message)
        },
        _ => match classify(error) {
            StoreError::Schema { problem, .. } => Fault::table(problem),
            StoreError::Backend(error) => Fault::new(Reason::Database, in_words(&*error)),
            other => return Failed::Store(other),
        },
    };
    Failed::Fault { fault, lost: false }
}

/// A key that restricts has the code of a trigger, which it is made of.
fn is_reference(error: &sqlx::Error) -> bool {
    match code(error) {
        Some(CONSTRAINT_FOREIGNKEY) => true,
        Some(CONSTRAINT_TRIGGER) => error
            .as_database_error()
            .is_some_and(|error| error.message() == "FOREIGN KEY constraint failed"),
        _ => false,
    }
}

/// Whether a handler failed for the sake of a row that another one refers to.
pub(super) fn is_unmet_reference(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |error| match error {
        Cause::Driver(error) => is_reference(error),
        Cause::Store(_) => false,
    })
}

/// Whether the database refused the statement because its transaction is gone.
pub(super) fn has_no_transaction(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.message().starts_with("no such savepoint")
            || error.message().contains("no transaction is active")
    })
}

/// Whether a handler failed only because it lost against a concurrent transaction.
pub(super) fn lost_a_race(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |error| match error {
        Cause::Driver(error) => code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6)),
        Cause::Store(error) => matches!(error, StoreError::Conflict(_)),
    })
}

/// Whether the database itself gave out under a handler: `SQLite` then ends the transaction.
pub(super) fn gave_out(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |error| match error {
        // NOMEM, IOERR, CORRUPT, FULL
        Cause::Driver(error) => {
            code(error).is_some_and(|code| matches!(code & 0xff, 7 | 10 | 11 | 13))
        }
        Cause::Store(error) => matches!(error, StoreError::Unavailable(_)),
    })
}

enum Cause<'e> {
    Driver(&'e sqlx::Error),
    Store(&'e StoreError),
}

fn any_cause(error: &(dyn Error + 'static), is: impl Fn(Cause<'_>) -> bool) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let found = error
            .downcast_ref()
            .map(Cause::Driver)
            .or_else(|| error.downcast_ref().map(Cause::Store))
            .is_some_and(&is);
        if found {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether a statement of ours is refused for the sake of a value in it: one beyond a limit, or of
/// a type that a strict table does not take.
pub(super) fn refuses(error: &StoreError) -> bool {
    let StoreError::Backend(source) = error else {
        return false;
    };
    let code = source
        .downcast_ref::<SqliteError>()
        .and_then(DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    matches!(code, Some(TOO_BIG | MISMATCH | CONSTRAINT_DATATYPE))
        || matches!(source.downcast_ref(), Some(sqlx::Error::Encode(_)))
}

/// The extended result code (<https://www.sqlite.org/rescode.html>).
fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

const TOO_BIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const CONSTRAINT_FOREIGNKEY: u32 = 787;
const CONSTRAINT_PRIMARYKEY: u32 = 1555;
const CONSTRAINT_UNIQUE: u32 = 2067;
const CONSTRAINT_ROWID: u32 = 2579;
const CONSTRAINT_TRIGGER: u32 = 1811;
const CONSTRAINT_DATATYPE: u32 = 3091;
