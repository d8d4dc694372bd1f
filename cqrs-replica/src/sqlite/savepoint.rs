//! Handlers, each in a savepoint of the open transaction.

use std::time::Duration;

use cqrs_core::{Event, StoreError, database::sqlite::classify};
use sqlx::{Connection, Sqlite, Transaction};

use super::{
    SqliteReplica,
    error::{gave_out, has_no_transaction, is_unmet_reference, lost_a_race, run},
};
use crate::{
    Failure,
    apply::{Called, Failed, call},
    handler::DynHandler,
    letter::{Fault, Reason},
};

/// Gives an event to a handler; what a handler that fails has written is undone.
pub(super) async fn handle(
    tx: &mut Transaction<'_, Sqlite>,
    limit: Duration,
    handler: &dyn DynHandler<SqliteReplica>,
    event: &Event,
) -> Result<Result<(), Fault>, Failed> {
    let mut savepoint = run(limit, tx.begin()).await?;
    let failure = match call::<SqliteReplica>(handler, &mut savepoint, event).await {
        Called::Done => None,
        Called::Failed(failure) => Some(failure),
        Called::Refused(failed) => return Err(failed),
        // It may have stopped in the middle of a statement.
        Called::Overdue(fault) => return Err(Failed::Fault { fault, lost: true }),
    };
    if let Some(failure) = failure {
        return undo(limit, savepoint, failure).await;
    }
    match run(limit, async { Ok(savepoint.commit().await) }).await? {
        Ok(()) => Ok(Ok(())),
        Err(error) if has_no_transaction(&error) => Err(ended()),
        Err(error) => Err(Failed::Store(classify(error))),
    }
}

/// Goes on after a handler that failed: what it wrote is gone.
async fn undo(
    limit: Duration,
    savepoint: Transaction<'_, Sqlite>,
    failure: Failure,
) -> Result<Result<(), Fault>, Failed> {
    let undone = run(limit, async { Ok(savepoint.rollback().await) }).await?;
    match undone {
        Ok(()) if lost_a_race(failure.cause()) => {
            Err(Failed::Store(StoreError::Conflict(failure.into_cause())))
        }
        // A full disk ends the transaction unseen.
        _ if gave_out(failure.cause()) => {
            Err(Failed::Store(StoreError::Unavailable(failure.into_cause())))
        }
        Ok(()) => Ok(Err(fault(failure))),
        Err(error) if has_no_transaction(&error) => Err(ended()),
        Err(error) => Err(Failed::Store(classify(error))),
    }
}

/// A row that refers to one which has not come waits for it, whoever writes it.
fn fault(failure: Failure) -> Fault {
    let waits = matches!(failure, Failure::Retry(_)) && is_unmet_reference(failure.cause());
    let fault = failure.into_fault();
    if waits {
        Fault::reference(fault.error)
    } else {
        fault
    }
}

/// A handler has committed or rolled back what was not its own.
fn ended() -> Failed {
    let error = "the handler ended the worker's transaction";
    Failed::Fault {
        fault: Fault::dead(Reason::Parked, error),
        lost: true,
    }
}
