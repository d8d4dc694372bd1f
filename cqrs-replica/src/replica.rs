//! Copies that are declared in code.

use cqrs_core::CqrsIdError;

use crate::{Model, ReplicaStore, TableModel};

/// A model whose copy is kept in a table of yours, declared beside the type of its rows: what a
/// `[[replica.model]]` of `cqrs.toml` is in a file. Derived with the feature `derive`:
///
/// ```
/// # #[cfg(all(feature = "derive", feature = "postgres"))] {
/// use cqrs_replica::{Model, Replica, postgres::PostgresReplica};
///
/// #[derive(Replica)]
/// #[replica(cqrs_id = "account", table = "account_ref")]
/// struct AccountRef {
///     #[replica(key)]
///     id: i64,
///     #[replica(from = "full_name")]
///     name: String,
/// }
///
/// let model: Model<PostgresReplica> = Model::of::<AccountRef>().unwrap();
/// # }
/// ```
pub trait Replica {
    /// The name under which the master's model travels.
    const CQRS_ID: &'static str;

    /// The table, its key, and which member of the data goes into which column.
    fn table() -> TableModel;
}

impl<S: ReplicaStore> Model<S> {
    /// Keeps the table of a [`Replica`] equal to the master's state, as [`Model::table`] does.
    ///
    /// # Errors
    /// Its `CQRS_ID` is no name that a model can have.
    pub fn of<R: Replica>() -> Result<Self, CqrsIdError> {
        Ok(Self::table(R::CQRS_ID.parse()?, R::table()))
    }
}
