//! What a table model does besides, or instead of, keeping its table.

use std::{future::Future, pin::Pin};

use cqrs_core::Signal;

use crate::{Failure, ReplicaStore, Step};

/// Code of your own around the writes of one table model: `cqrs_create`, `cqrs_update` and
/// `cqrs_delete` of django-cqrs. Each hook left out does what the table does without it; one that is
/// written calls [`Step::save`] or [`Step::delete`] for that, before or after its own work, with other
/// data ([`Step::save_as`]), or not at all.
///
/// ```
/// # #[cfg(feature = "postgres")] {
/// use cqrs_replica::{Failure, Hooks, Model, Step, TableModel, postgres::PostgresReplica};
/// use sqlx::PgConnection;
///
/// struct Welcome;
///
/// impl Hooks<PostgresReplica> for Welcome {
///     async fn create(
///         &self,
///         tx: &mut PgConnection,
///         step: &Step<'_, PostgresReplica>,
///     ) -> Result<(), Failure> {
///         step.save(tx).await?;
///         if !step.is_sync() {
///             sqlx::query("insert into mail (account_id, template) values ($1, 'welcome')")
///                 .bind(step.event().key.canonical())
///                 .execute(tx)
///                 .await?;
///         }
///         Ok(())
///     }
///
///     // Kept, and marked.
///     async fn delete(
///         &self,
///         tx: &mut PgConnection,
///         step: &Step<'_, PostgresReplica>,
///     ) -> Result<(), Failure> {
///         sqlx::query("update account set gone = true where id::text = $1")
///             .bind(step.event().key.canonical())
///             .execute(tx)
///             .await?;
///         Ok(())
///     }
/// }
///
/// let cqrs_id = cqrs_core::CqrsId::new("account").unwrap();
/// let model = Model::table(cqrs_id, TableModel::new("account", "id")).with_hooks(Welcome);
/// # let _: Model<PostgresReplica> = model;
/// # }
/// ```
///
/// Whether an instance is created or updated is decided by what the worker knows of it: nothing, or
/// that it was deleted, means created, by whichever revision comes first. Its row may be there all the
/// same, from before the bookkeeping, so the default of both is one upsert.
///
/// A hook is called under the terms of a [`Handler`](crate::Handler): inside the worker's transaction,
/// in a savepoint; its failure undoes what it wrote and nothing else.
pub trait Hooks<S: ReplicaStore>: Send + Sync + 'static {
    /// A save or sync of an instance of which nothing is known, or that was deleted.
    ///
    /// # Errors
    /// What is to be done about the event, see [`Failure`].
    fn create(
        &self,
        tx: &mut S::Connection,
        step: &Step<'_, S>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async move { step.save(tx).await }
    }

    /// A save or sync of an instance that is known.
    ///
    /// # Errors
    /// As for [`Hooks::create`].
    fn update(
        &self,
        tx: &mut S::Connection,
        step: &Step<'_, S>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async move { step.save(tx).await }
    }

    /// A delete, also of an instance of which nothing is known.
    ///
    /// # Errors
    /// As for [`Hooks::create`].
    fn delete(
        &self,
        tx: &mut S::Connection,
        step: &Step<'_, S>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async move { step.delete(tx).await }
    }
}

/// The boxed twin of [`Hooks`], for a registry of hooks of different types.
pub(crate) trait DynHooks<S: ReplicaStore>: Send + Sync {
    /// Calls the hook for this step.
    fn call<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        step: &'a Step<'a, S>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;
}

impl<S: ReplicaStore, H: Hooks<S>> DynHooks<S> for H {
    fn call<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        step: &'a Step<'a, S>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        match step.event().signal {
            Signal::Delete => Box::pin(self.delete(tx, step)),
            Signal::Save | Signal::Sync if step.creates() => Box::pin(self.create(tx, step)),
            Signal::Save | Signal::Sync => Box::pin(self.update(tx, step)),
        }
    }
}
