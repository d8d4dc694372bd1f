//! A model's table on the master, for those who read it without the application's code: dump, sync,
//! diff, capture.
//!
//! A [`SourceModel`] is what someone declares, a [`Source`] what is left of it once it has been
//! compared with the table there is. From then on all SQL is made of names that the catalog has.

mod after;
mod model;
mod page;
mod read_model;
mod reader;
mod select;
mod sql;

pub use after::After;
pub use cqrs_core::database::condition::Dialect;
pub use model::{SourceModel, TrackedFields};
pub use read_model::{ReadModel, RowFault, SourceTable};
pub use reader::{
    FailedRow, KeyPage, Scan, SourcePage, SourceReader, SourceRow, SourceSnapshot, SourceStore,
    SyncOptions, Synced,
};
pub use sql::{SourceCondition, SourceField};

pub(crate) use after::{KeyValue, key_values};
pub(crate) use page::{Met, Missing, Stamped, candidates, found, instances, key_page, syncs};
pub(crate) use read_model::Loader;
pub(crate) use select::{Columns, Select, Statement};

use cqrs_core::{CqrsId, StoreError, filter::Filter};

/// A column of the table, as the catalog has it.
#[derive(Debug, Clone)]
pub(crate) struct SourceColumn {
    pub(crate) name: String,
    /// Its type in the database's words, without a length; a domain's is that below it.
    pub(crate) type_name: String,
}

/// What the catalog says of the table.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    /// The table as SQL that names no other one.
    pub(crate) table: String,
    /// In the table's order.
    pub(crate) columns: Vec<SourceColumn>,
    /// The unique indexes, the primary key among them.
    pub(crate) unique: Vec<UniqueIndex>,
}

/// A unique index that holds for all rows.
#[derive(Debug, Clone)]
pub(crate) struct UniqueIndex {
    pub(crate) columns: Vec<String>,
    /// For each column the collation of the index, as SQL, where it is not that of the table.
    pub(crate) collations: Vec<Option<String>>,
}

impl UniqueIndex {
    /// One in the collations of the table.
    #[cfg(feature = "sqlite")]
    pub(crate) fn plain(columns: Vec<String>) -> Self {
        let collations = vec![None; columns.len()];
        Self {
            columns,
            collations,
        }
    }

    fn is_of(&self, key: &[String]) -> bool {
        self.columns.len() == key.len() && self.columns.iter().all(|name| key.contains(name))
    }

    /// Whether pages in the key's order can be read from it.
    fn has_order(&self, key: &[String]) -> bool {
        self.columns == key
    }

    fn collation(&self, column: &str) -> Option<String> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.collations.get(place).cloned().flatten()
    }
}

/// A model's table, compared with the catalog.
#[derive(Debug, Clone)]
pub struct Source {
    model: SourceModel,
    dialect: Dialect,
    table: String,
    fields: Vec<SourceField>,
    /// The key's columns, in the model's order.
    key: Vec<SourceColumn>,
    /// For each of these the collation of the key's index, where it is not the column's.
    key_collations: Vec<Option<String>>,
    /// All columns, for filters may name those that are not published.
    pub(crate) columns: Vec<SourceColumn>,
    /// The function of the database that finds the forms of values when it is called, by their types then.
    form_function: Option<String>,
}

impl Source {
    /// Compares a model with its table.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit, each with its remedy.
    pub(crate) fn new(
        model: SourceModel,
        dialect: Dialect,
        catalog: Option<Catalog>,
    ) -> Result<Self, StoreError> {
        let Some(catalog) = catalog else {
            return Err(schema(format!(
                "there is no table {:?} for the model {}: correct `table`, or create it",
                model.table, model.cqrs_id
            )));
        };
        let mut problems = Vec::new();
        let find = |name: &str| catalog.columns.iter().find(|column| column.name == name);
        let mut missing = |name: &str, of: &str| {
            problems.push(format!(
                "table {:?} has no column {name:?}: correct `{of}`, or add the column",
                model.table
            ));
        };
        let mut key = Vec::new();
        for name in &model.key {
            match find(name) {
                Some(column) => key.push(column.clone()),
                None => missing(name, "key"),
            }
        }
        let mut fields = Vec::new();
        match &model.fields {
            None => fields.extend(catalog.columns.iter().map(|column| SourceField {
                name: column.name.clone(),
                column: column.name.clone(),
                type_name: column.type_name.clone(),
            })),
            Some(mapping) => {
                // In the table's order, as an application's struct would have them.
                let place = |column: &str| catalog.columns.iter().position(|c| c.name == column);
                let mut mapping: Vec<_> = mapping.iter().collect();
                mapping.sort_by_key(|(_, column)| place(column));
                for (name, column) in mapping {
                    match find(column) {
                        Some(found) => fields.push(SourceField {
                            name: name.clone(),
                            column: column.clone(),
                            type_name: found.type_name.clone(),
                        }),
                        None => missing(column, "columns"),
                    }
                }
            }
        }
        for reserved in ["cqrs_revision", "cqrs_updated"] {
            if model.fields.is_none() {
                // What a Django master has of its own; our events carry theirs.
                fields.retain(|field| field.name != reserved);
            } else if fields.iter().any(|field| field.name == reserved) {
                problems.push(format!(
                    "{reserved} is added to each event by itself: leave it out of `columns`"
                ));
            }
        }
        let known = model.key.iter().all(|name| find(name).is_some());
        let mut indexes: Vec<_> = catalog
            .unique
            .iter()
            .filter(|i| i.is_of(&model.key))
            .collect();
        // The best one first: in the order of the key, then in the table's own collations.
        indexes.sort_by_key(|index| {
            (
                !index.has_order(&model.key),
                index.collations.iter().flatten().count(),
            )
        });
        let key_collations = match indexes.first() {
            Some(index) => model.key.iter().map(|name| index.collation(name)).collect(),
            None => vec![None; model.key.len()],
        };
        if known && indexes.is_empty() {
            problems.push(format!(
                "table {:?} has no unique index on ({}): create one, without a condition, or correct \
                 `key`",
                model.table,
                model.key.join(", ")
            ));
        }
        if let TrackedFields::Fields(names) = &model.tracked {
            for name in names {
                if !fields.iter().any(|field| field.name == *name) {
                    problems.push(format!(
                        "{name:?} is to be tracked and is no published field: correct `tracked`, or \
                         add it to `columns`"
                    ));
                }
            }
        }
        let source = Self {
            table: catalog.table,
            columns: catalog.columns,
            model,
            dialect,
            fields,
            key,
            key_collations,
            form_function: None,
        };
        if known && let Err(error) = source.literal_condition(&source.filter().clone(), "t") {
            problems.push(format!("the model {}: {error}", source.model.cqrs_id));
        }
        if problems.is_empty() {
            Ok(source)
        } else {
            Err(schema(problems.join("; ")))
        }
    }

    /// The same, but its SQL does not rest on the types that the columns have now: `function` finds the form of a
    /// value, given with `'json'`, `'key'` or `'key as json'`.
    #[cfg(feature = "postgres")]
    pub(crate) fn of_any_types(&self, function: String) -> Self {
        Self {
            form_function: Some(function),
            ..self.clone()
        }
    }

    /// What was declared.
    #[must_use]
    pub const fn model(&self) -> &SourceModel {
        &self.model
    }

    /// The model's name on the wire.
    #[must_use]
    pub const fn cqrs_id(&self) -> &CqrsId {
        &self.model.cqrs_id
    }

    /// Which rows replicas are to have.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.model.filter
    }

    /// Whose SQL is made.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The table, quoted, with its schema.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The published fields, in the table's order.
    #[must_use]
    pub fn fields(&self) -> &[SourceField] {
        &self.fields
    }

    /// The fields whose old values are told.
    pub fn tracked(&self) -> impl Iterator<Item = &SourceField> {
        self.fields
            .iter()
            .filter(|field| match &self.model.tracked {
                TrackedFields::All => true,
                TrackedFields::Fields(names) => names.contains(&field.name),
            })
    }
}

pub(crate) fn schema(problem: String) -> StoreError {
    StoreError::Schema {
        problem,
        source: None,
    }
}
