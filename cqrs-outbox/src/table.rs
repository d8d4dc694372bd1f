//! A model with a table of its own.

use serde::Serialize;

use crate::Master;

/// A model whose rows [`bulk_create`](crate::bulk_create) and [`bulk_update`](crate::bulk_update)
/// write. `#[derive(Master)]` with a `table` writes this too.
///
/// ```
/// # use cqrs_outbox::{InstanceKey, Master, Table};
/// # use serde::Serialize;
/// # #[derive(Serialize)]
/// # struct Account { id: i64, status: String }
/// # impl Master for Account {
/// #     const CQRS_ID: &'static str = "account";
/// #     fn key(&self) -> InstanceKey { self.id.into() }
/// #     fn data(&self) -> impl Serialize { self }
/// # }
/// impl Table for Account {
///     const TABLE: &'static str = "accounts";
///     const KEY: &'static [&'static str] = &["id"];
///
///     fn row(&self) -> impl Serialize {
///         self
///     }
/// }
/// ```
pub trait Table: Master {
    /// The table, before it its schema if it is not on the search path: `billing.accounts`. On
    /// `PostgreSQL` a table that is named like a type (`point`, `path`) needs its schema.
    const TABLE: &'static str;

    /// The columns of the key.
    const KEY: &'static [&'static str];

    /// The columns that hold bytes. Their values in a row are base64 text, as
    /// [`form::bytes`](crate::form::bytes) writes it.
    const BYTES: &'static [&'static str] = &[];

    /// The row: anything that serialises to a JSON object with a member for each column to write,
    /// the key's among them.
    ///
    /// On `PostgreSQL` a value is converted to the type of its column. On `SQLite` it is stored as
    /// `->>` finds it: booleans as 1 and 0, lists and objects as their text.
    fn row(&self) -> impl Serialize;
}
