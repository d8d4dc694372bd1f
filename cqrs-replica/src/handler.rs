//! Models that the user's own code applies.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use cqrs_core::Event;
use futures_util::FutureExt;

use crate::{
    Failure, ReplicaStore,
    letter::{Fault, Reason, storable},
};

/// How long a handler may take. Its connection is given up when the time is over.
const LIMIT: Duration = Duration::from_secs(30);

/// Applies the events of one model with code of your own.
///
/// `apply` runs inside the worker's transaction: what it writes through `tx` and the worker's own
/// bookkeeping commit together, so each revision takes effect once. A sync or a duplicate that the
/// apply rules skip never gets here. An error rolls back what this event wrote and nothing else.
///
/// It must not commit or roll back, and should not wait for anything but the database: the
/// transaction is open, and its server ends it after a few idle seconds. After 30 s it is given up as
/// failed. A panic makes the event a dead letter.
///
/// An error that only says that a concurrent transaction won (a deadlock, a serialization failure, a
/// lock timeout), or a database that went away, is not counted against the event.
///
/// Cancellation: the future may be dropped when the worker is stopped hard; the transaction is
/// rolled back and the event comes again.
pub trait Handler<S: ReplicaStore>: Send + Sync + 'static {
    /// Applies one event.
    ///
    /// # Errors
    /// What is to be done about the event, see [`Failure`].
    fn apply(
        &self,
        tx: &mut S::Connection,
        event: &Event,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The boxed twin of [`Handler`], for a registry of handlers of different types.
pub trait DynHandler<S: ReplicaStore>: Send + Sync {
    fn apply<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;
}

impl<S: ReplicaStore, H: Handler<S>> DynHandler<S> for H {
    fn apply<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        Box::pin(Handler::apply(self, tx, event))
    }
}

/// What became of a call.
pub(crate) enum Called {
    Done,
    Failed(Failure),
    /// It was given up; what it did to the connection is unknown.
    Overdue(Fault),
}

/// Calls a handler. A panic is a failure like any other, but one that is not tried again.
pub(crate) async fn call<S: ReplicaStore>(
    handler: &dyn DynHandler<S>,
    tx: &mut S::Connection,
    event: &Event,
) -> Called {
    // What a panicking handler leaves behind is the transaction, which is rolled back.
    let call = AssertUnwindSafe(handler.apply(tx, event)).catch_unwind();
    match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(Ok(()))) => Called::Done,
        Ok(Ok(Err(failure))) => Called::Failed(failure),
        Ok(Err(panic)) => Called::Failed(Failure::Park(Box::new(Panic(words(&*panic))))),
        Err(_) => Called::Overdue(Fault::new(
            Reason::Handler,
            format!("the handler took longer than {} s", LIMIT.as_secs()),
        )),
    }
}

/// A handler's panic, on its way to a letter.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
pub(crate) struct Panic(String);

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    storable(text.unwrap_or("with a value that is no text"))
}
