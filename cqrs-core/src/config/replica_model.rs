//! `[[replica.model]]`: a model that goes into a table.

use std::collections::BTreeMap;

use super::{
    columns::{Columns, Mapping, Table, TableName},
    kind::Switch,
    master::cqrs_id,
    replica::ExpiredMessage,
    section::Section,
};
use crate::CqrsId;

/// A model whose instances are kept as rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaModel {
    /// The model's name on the wire.
    pub cqrs_id: CqrsId,
    /// The replica's table.
    pub table: TableName,
    /// The replica's key column, or columns in the order of the master's key.
    pub key: Vec<String>,
    /// Which field of an event goes into which column. `None`: each into the column of its name.
    pub columns: Option<BTreeMap<String, String>>,
    /// What becomes of an expired message. `None`: what the replica says.
    pub on_expired: Option<ExpiredMessage>,
    /// Whether a sync may take an instance back to a lower revision.
    pub sync_downgrade: bool,
}

impl ReplicaModel {
    /// A model in a table whose columns have the names of the fields.
    #[must_use]
    pub fn new(cqrs_id: CqrsId, table: TableName, key: Vec<String>) -> Self {
        Self {
            cqrs_id,
            table,
            key,
            columns: None,
            on_expired: None,
            sync_downgrade: false,
        }
    }

    pub(super) fn read(row: &mut Section<'_, '_>) -> Option<Self> {
        let cqrs_id = cqrs_id(row);
        let table = row.required(
            "table",
            &Table,
            "\"account_ref\"",
            "The table to keep it in.",
        );
        let key = row.required(
            "key",
            &Columns,
            "\"id\"",
            "The table's key column, or columns in the order of the master's key.",
        );
        let columns = row.optional(
            "columns",
            &Mapping,
            "columns named like the fields",
            "{ name = \"full_name\" }",
            "Which field of an event goes into which column: `{ field = \"column\" }`. \
             Fields that are not named are left out.",
        );
        let on_expired = row.optional(
            "on_expired",
            &ExpiredMessage::WORDS,
            "`replica.on_expired`",
            "\"apply\"",
            "What becomes of an expired message for this table.",
        );
        let sync_downgrade = row.value(
            "sync_downgrade",
            &Switch,
            false,
            "Whether a sync may take an instance back to a lower revision.",
        );
        Some(Self {
            cqrs_id: cqrs_id?,
            table: table?,
            key: key?,
            columns,
            on_expired,
            sync_downgrade,
        })
    }
}
