//! Models that the user's own code applies.

use std::{future::Future, pin::Pin};

use cqrs_core::Event;

use crate::{Failure, ReplicaStore};

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
/// A handler may also keep what is no database: a cache, a search index, another service. Nothing
/// written there is rolled back, so an event may come to it more than once (when the batch that it
/// came in fails later on), and it must end up the same; the revision is there to compare.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use std::{collections::HashMap, sync::{Arc, Mutex}};
///
/// use cqrs_core::{Event, Signal};
/// use cqrs_replica::{Failure, Handler, Model, ReplicaStore, sqlite::SqliteReplica};
///
/// #[derive(Clone, Default)]
/// struct Names(Arc<Mutex<HashMap<String, String>>>);
///
/// #[derive(serde::Deserialize)]
/// struct Account {
///     name: String,
/// }
///
/// impl<S: ReplicaStore> Handler<S> for Names {
///     async fn apply(&self, _tx: &mut S::Connection, event: &Event) -> Result<(), Failure> {
///         let key = event.key.canonical();
///         // What is not understood now will not be understood later.
///         let name = match event.signal {
///             Signal::Delete => None,
///             _ => Some(event.parse::<Account>().map_err(Failure::park)?.name),
///         };
///         let mut names = self.0.lock().map_err(|_| "the cache is broken")?;
///         match name {
///             Some(name) => names.insert(key, name),
///             None => names.remove(&key),
///         };
///         Ok(())
///     }
/// }
///
/// let names = Names::default();
/// let cqrs_id = cqrs_core::CqrsId::new("account").unwrap();
/// // A cache wants the latest state only.
/// let model: Model<SqliteReplica> = Model::handler(cqrs_id, names.clone()).latest();
/// # drop(model);
/// # }
/// ```
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
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, unreachable_pub, reason = "the databases call it")
)]
pub trait DynHandler<S: ReplicaStore>: Send + Sync {
    fn apply<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;
}

/// A handler in a registry. (Not the handler itself: the worker has callers of its own that are none.)
pub(crate) struct Registered<H>(pub(crate) H);

impl<S: ReplicaStore, H: Handler<S>> DynHandler<S> for Registered<H> {
    fn apply<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        Box::pin(self.0.apply(tx, event))
    }
}
