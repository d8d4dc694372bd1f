//! A model's own statement timeout, within the worker's transaction. A model without one costs
//! nothing here.

use std::{error::Error, time::Duration};

use cqrs_core::StoreError;
use sqlx::PgConnection;

use super::{
    connection::GRACE,
    error::{is_cancelled, run},
    limits::Limits,
    sql,
};
use crate::{
    apply::Failed,
    letter::{Fault, Reason},
};

/// How long we wait for a statement that the server ends after this long.
pub(super) fn limit(timeout: Duration) -> Duration {
    timeout + GRACE
}

/// From here on no statement takes longer. A lock is waited for no longer than half of it, so that
/// such a wait is not taken for the statement's own slowness.
pub(super) async fn set(
    connection: &mut PgConnection,
    wait: Duration,
    limits: Limits,
    timeout: Duration,
) -> Result<(), StoreError> {
    let own = Limits {
        lock: limits.lock.min(timeout / 2),
        statement: timeout,
    };
    reset(connection, wait, own).await
}

/// From here on statements have these limits.
pub(super) async fn reset(
    connection: &mut PgConnection,
    wait: Duration,
    limits: Limits,
) -> Result<(), StoreError> {
    let milliseconds = |time: Duration| time.as_millis().max(1).to_string();
    let set = sqlx::query(sql::SET_TIMEOUTS)
        .bind(milliseconds(limits.statement))
        .bind(milliseconds(limits.lock));
    run(wait, set.execute(connection)).await?;
    Ok(())
}

/// A statement that the server has ended is the message's fault, since its model says so.
pub(super) fn blame(failed: Failed, timeout: Duration) -> Failed {
    match failed {
        Failed::Store(StoreError::Unavailable(error)) if is_ended(&*error) => {
            let error = format!("a statement took longer than the model's {timeout:?}");
            let fault = Fault::new(Reason::Database, error);
            Failed::Fault { fault, lost: false }
        }
        failed => failed,
    }
}

fn is_ended(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if is_cancelled(error) {
            return true;
        }
        cause = error.source();
    }
    false
}
