//! Handlers, each in a savepoint of the open transaction.

use std::time::{Duration, Instant};

use cqrs_core::{Event, StoreError, database::postgres::classify};
use sqlx::{Connection, Postgres, Transaction};

use super::{
    PostgresReplica,
    error::{has_no_transaction, is_aborted, is_unmet_reference, lost_a_race, run},
    limits::Limits,
    sql, timeout,
};
use crate::{
    Failure,
    apply::{Called, Failed, call},
    handler::DynHandler,
    letter::{Fault, Reason},
};

/// How long a handler's statements and pauses may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A statement of ours.
    pub(super) limit: Duration,
    /// What the server has been told.
    pub(super) limits: Limits,
    /// A pause.
    pub(super) idle: Duration,
    /// A statement of the handler's, if the model says.
    pub(super) timeout: Option<Duration>,
}

/// Gives an event to a handler; what a handler that fails has written is undone.
pub(super) async fn handle(
    tx: &mut Transaction<'_, Postgres>,
    patience: Patience,
    handler: &dyn DynHandler<PostgresReplica>,
    event: &Event,
) -> Result<Result<(), Fault>, Failed> {
    let Patience {
        limit,
        limits,
        idle: idle_limit,
        timeout,
    } = patience;
    let mut savepoint = run(limit, tx.begin()).await?;
    if let Some(timeout) = timeout {
        timeout::set(&mut savepoint, limit, limits, timeout).await?;
    }
    let started = Instant::now();
    let failure = match call::<PostgresReplica>(handler, &mut savepoint, event).await {
        Called::Done => None,
        Called::Failed(failure) => Some(failure),
        Called::Refused(failed) => return Err(failed),
        // It may have stopped in the middle of a statement.
        Called::Overdue(fault) => return Err(Failed::Fault { fault, lost: true }),
    };
    if let Some(failure) = failure {
        return undo(limit, idle_limit, savepoint, started, failure).await;
    }
    let released = run(limit, async { Ok(savepoint.commit().await) }).await?;
    match released {
        Ok(()) => {
            if timeout.is_some() {
                timeout::reset(tx, limit, limits).await?;
            }
            Ok(Ok(()))
        }
        Err(error) if is_aborted(&error) => {
            // The savepoint was rolled back when it was dropped.
            run(limit, sqlx::query(sql::NOW).execute(&mut **tx)).await?;
            let error = "a statement of the handler failed and the handler went on";
            Ok(Err(Fault::new(Reason::Handler, error)))
        }
        Err(error) if has_no_transaction(&error) => Err(ended()),
        Err(_) if started.elapsed() >= idle_limit => {
            let error = "the handler let the transaction idle until the database ended it";
            Err(Failed::Fault {
                fault: Fault::new(Reason::Handler, error),
                lost: true,
            })
        }
        Err(error) => Err(Failed::Store(classify(error))),
    }
}

/// Goes on after a handler that failed: what it wrote is gone.
async fn undo(
    limit: Duration,
    idle_limit: Duration,
    savepoint: Transaction<'_, Postgres>,
    called: Instant,
    failure: Failure,
) -> Result<Result<(), Fault>, Failed> {
    let undone = run(limit, async { Ok(savepoint.rollback().await) }).await;
    match undone {
        Ok(Ok(())) if lost_a_race(failure.cause()) => {
            Err(Failed::Store(StoreError::Conflict(failure.into_cause())))
        }
        Ok(Ok(())) => Ok(Err(fault(failure))),
        Ok(Err(error)) if has_no_transaction(&error) => Err(ended()),
        // The server ends a transaction that idles: the handler waited for something else.
        Ok(Err(_)) | Err(_) if called.elapsed() >= idle_limit => Err(Failed::Fault {
            fault: failure.into_fault(),
            lost: true,
        }),
        Ok(Err(error)) => Err(Failed::Store(classify(error))),
        Err(error) => Err(Failed::Store(error)),
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
