//! A model whose table is read, and how its rows become instances.

use std::{error::Error, fmt};

use cqrs_core::{CqrsId, CqrsIdError, InstanceKey, Signal};
use serde_json::value::RawValue;
use sqlx::{FromRow, Row};

use super::{Source, SourceModel};
use crate::{Change, Master, Table};

/// Why a row is no instance. It costs only itself.
pub type RowFault = Box<dyn Error + Send + Sync>;

/// A model to read: a table that someone declared, or a type of the application's with its own code.
/// `R` is a row of the database: `PgRow`, `SqliteRow`.
pub struct ReadModel<R> {
    pub(crate) source: SourceModel,
    pub(crate) loader: Loader<R>,
}

impl<R> ReadModel<R> {
    /// A declared table: its columns are what is published.
    #[must_use]
    pub fn table(source: SourceModel) -> Self {
        Self {
            source,
            loader: Loader::Sql,
        }
    }

    /// The model's name on the wire.
    #[must_use]
    pub const fn cqrs_id(&self) -> &CqrsId {
        &self.source.cqrs_id
    }
}

impl<R: Row> ReadModel<R> {
    /// A type with a table: its rows are loaded with `FromRow`, and what they publish, whether
    /// replicas have them, meta data and time to live are what its [`Master`] says.
    ///
    /// # Errors
    /// Its name is none.
    pub fn of<M>() -> Result<Self, CqrsIdError>
    where
        M: Master + Table + for<'r> FromRow<'r, R>,
    {
        let key = M::KEY.iter().map(|&column| column.to_owned()).collect();
        let source = SourceModel::new(CqrsId::new(M::CQRS_ID)?, M::TABLE, key).with_ttl(M::TTL);
        let loader = Loader::Code(CodeLoader {
            published: published::<M, R>,
            synced: synced::<M, R>,
        });
        Ok(Self { source, loader })
    }
}

impl<R> Clone for ReadModel<R> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            loader: self.loader,
        }
    }
}

impl<R> fmt::Debug for ReadModel<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadModel")
            .field("source", &self.source)
            .field("loader", &self.loader)
            .finish()
    }
}

/// A model's table, compared with the catalog and ready to be read.
pub struct SourceTable<R> {
    pub(crate) source: Source,
    pub(crate) loader: Loader<R>,
}

impl<R> SourceTable<R> {
    /// The table as it is.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }
}

impl<R> fmt::Debug for SourceTable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceTable")
            .field("source", &self.source)
            .field("loader", &self.loader)
            .finish()
    }
}

/// Who makes instances of rows.
pub(crate) enum Loader<R> {
    /// The database: the row's JSON is selected.
    Sql,
    /// The application's code: all columns are selected.
    Code(CodeLoader<R>),
}

/// The application's code for a type of its own.
pub(crate) struct CodeLoader<R> {
    pub(crate) published: fn(&R) -> Result<Loaded, RowFault>,
    pub(crate) synced: fn(&R) -> Result<Option<Change>, RowFault>,
}

/// What the application's code makes of a row.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) key: InstanceKey,
    /// Whether replicas are to have it.
    pub(crate) published: bool,
    pub(crate) data: String,
}

impl<R> Clone for Loader<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Loader<R> {}

impl<R> Clone for CodeLoader<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for CodeLoader<R> {}

impl<R> fmt::Debug for Loader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sql => "Sql",
            Self::Code(_) => "Code",
        })
    }
}

fn published<M, R>(row: &R) -> Result<Loaded, RowFault>
where
    R: Row,
    M: Master + for<'r> FromRow<'r, R>,
{
    let model = M::from_row(row)?;
    let published = model.should_sync();
    let data = if published {
        serde_json::to_string(&model.data())?
    } else {
        String::new()
    };
    Ok(Loaded {
        key: model.key(),
        published,
        data,
    })
}

fn synced<M, R>(row: &R) -> Result<Option<Change>, RowFault>
where
    R: Row,
    M: Master + for<'r> FromRow<'r, R>,
{
    let model = M::from_row(row)?;
    Ok(model.should_sync().then(|| Change::synced(&model)))
}

/// A sync of a declared table's row.
pub(crate) fn synced_data(
    source: &Source,
    key: InstanceKey,
    data: String,
) -> Result<Change, RowFault> {
    let data = RawValue::from_string(data)?;
    let change = Change::json(source.cqrs_id().as_str(), key, Signal::Sync, data);
    Ok(match source.model().ttl {
        Some(ttl) => change.expires_in(ttl),
        None => change,
    })
}
