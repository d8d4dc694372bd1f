//! A model's table as it is declared.

use std::time::Duration;

use cqrs_core::{CqrsId, filter::Filter};

/// A table whose rows are the instances of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceModel {
    /// The model's name on the wire.
    pub cqrs_id: CqrsId,
    /// The table, with its schema before a dot if need be.
    pub table: String,
    /// The columns of the key, in the order of the model's key. They must have a unique index.
    pub key: Vec<String>,
    /// The published fields with their columns. `None`: every column under its own name.
    pub fields: Option<Vec<(String, String)>>,
    /// Which rows replicas are to have.
    pub filter: Filter,
    /// The fields whose old values travel with a captured change.
    pub tracked: TrackedFields,
    /// How long events are worth sending. `None`: for ever.
    pub ttl: Option<Duration>,
    /// Whether a captured change of no published field is no event.
    pub skip_unchanged: bool,
}

/// The fields whose old values travel with a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackedFields {
    /// All that are published.
    All,
    /// These.
    Fields(Vec<String>),
}

impl SourceModel {
    /// A model in a table whose columns have the names of the fields, all published and no filter.
    #[must_use]
    pub fn new(cqrs_id: CqrsId, table: impl Into<String>, key: Vec<String>) -> Self {
        Self {
            cqrs_id,
            table: table.into(),
            key,
            fields: None,
            filter: Filter::default(),
            tracked: TrackedFields::Fields(Vec::new()),
            ttl: None,
            skip_unchanged: false,
        }
    }

    /// Sets the published fields with their columns.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<(String, String)>) -> Self {
        self.fields = Some(fields);
        self
    }

    /// Sets which rows replicas are to have.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the fields whose old values are told.
    #[must_use]
    pub fn with_tracked(mut self, tracked: TrackedFields) -> Self {
        self.tracked = tracked;
        self
    }

    /// Sets how long events are worth sending.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets whether a captured change of no published field is no event.
    #[must_use]
    pub const fn with_skip_unchanged(mut self, skip: bool) -> Self {
        self.skip_unchanged = skip;
        self
    }
}
