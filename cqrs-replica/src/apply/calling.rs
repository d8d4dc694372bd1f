//! Calling a handler, and what its word means.

use std::{any::Any, error::Error, panic::AssertUnwindSafe, time::Duration};

use cqrs_core::Event;
use futures_util::FutureExt;
use tracing::Instrument;

use super::backend::Failed;
use crate::{
    Failure, ReplicaStore,
    handler::DynHandler,
    letter::{Fault, Reason, Then, in_words, storable},
    step::DefaultFailed,
};

/// How long a handler may take. Its connection is given up when the time is over.
const LIMIT: Duration = Duration::from_secs(30);

/// What became of a call.
pub(crate) enum Called {
    Done,
    Failed(Failure),
    /// It has tried to write to its table, with this end. The transaction must be given up.
    Refused(Failed),
    /// It was given up; what it did to the connection is unknown.
    Overdue(Fault),
}

/// Calls a handler, inside a span that says for which event, so that lines of its own can be told apart
/// and traced back to the command behind it. A panic is a failure like any other, but one that is not tried again.
pub(crate) async fn call<S: ReplicaStore>(
    handler: &dyn DynHandler<S>,
    tx: &mut S::Connection,
    event: &Event,
) -> Called {
    let span = tracing::info_span!(
        "handle",
        cqrs_id = event.cqrs_id.as_str(),
        instance_pk = event.key.canonical(),
        revision = event.revision.0,
        signal = event.signal.as_str(),
        correlation_id = event.correlation(),
    );
    // Entered already when the handler makes its future.
    let call = async { handler.apply(tx, event).await }.instrument(span);
    // What a panicking handler leaves behind is the transaction, which is rolled back.
    let call = AssertUnwindSafe(call).catch_unwind();
    match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(Ok(()))) => Called::Done,
        Ok(Ok(Err(failure))) => refused(failure),
        Ok(Err(panic)) => Called::Failed(Failure::Park(Box::new(Panic(words(&*panic))))),
        Err(_) => Called::Overdue(Fault::new(
            Reason::Handler,
            format!("the handler took longer than {} s", LIMIT.as_secs()),
        )),
    }
}

/// Tells what a hook hands on from its table from what it says itself.
fn refused(failure: Failure) -> Called {
    match failure {
        Failure::Retry(error) => match error.downcast::<DefaultFailed>() {
            Ok(failed) => match *failed {
                DefaultFailed::Refused(failed) => Called::Refused(failed),
                judged @ DefaultFailed::Judged(_) => Called::Failed(judged.into()),
            },
            Err(error) => Called::Failed(Failure::Retry(error)),
        },
        failure => Called::Failed(failure),
    }
}

/// A handler's panic, on its way to a letter.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panic(String);

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    storable(text.unwrap_or("with a value that is no text"))
}

impl Failure {
    /// Why.
    pub(crate) fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Retry(error) | Self::RetryAfter(_, error) | Self::Park(error) => &**error,
        }
    }

    /// Why, alone.
    pub(crate) fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Retry(error) | Self::RetryAfter(_, error) | Self::Park(error) => error,
        }
    }

    /// What it means for the event's letter.
    pub(crate) fn into_fault(self) -> Fault {
        if let Some(DefaultFailed::Judged(fault)) = self.cause().downcast_ref() {
            return fault.clone();
        }
        let error = in_words(self.cause());
        let panicked = self.cause().is::<Panic>();
        let (reason, then) = match self {
            Self::Retry(_) => (Reason::Handler, Then::Backoff),
            Self::RetryAfter(delay, _) => (Reason::Handler, Then::After(delay)),
            Self::Park(_) if panicked => (Reason::Panic, Then::Dead),
            Self::Park(_) => (Reason::Parked, Then::Dead),
        };
        Fault {
            then,
            ..Fault::new(reason, error)
        }
    }
}
