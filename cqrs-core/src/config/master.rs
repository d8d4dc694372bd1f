//! `[master]`: the database with the outbox.

use std::{collections::BTreeMap, time::Duration};

use super::{
    columns::{Columns, Mapping, Table, TableName},
    filter::FilterText,
    kind::{Period, Switch},
    names::{Name, Url},
    problem::Place,
    section::Section,
    tracked::{TrackedFields, TrackedNames},
};
use crate::{CqrsId, SecretUrl, filter::Filter};

/// The schemes of the databases.
pub(super) const DATABASES: Url = Url(&["postgres", "postgresql", "sqlite"]);

/// The master's database, and its models for commands that read tables by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Master {
    /// `postgres://` or `sqlite://`.
    pub database: SecretUrl,
    /// How long an event is worth sending of which the application says nothing else: for its
    /// `Recorder`. `None`: for ever.
    pub message_ttl: Option<Duration>,
    /// The models, each `cqrs_id` once.
    pub models: Vec<MasterModel>,
}

/// A table of the master whose rows are instances of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MasterModel {
    /// The model's name on the wire.
    pub cqrs_id: CqrsId,
    /// Its table.
    pub table: TableName,
    /// The column or columns of its key.
    pub key: Vec<String>,
    /// Fields of its events and the columns they are read from. `None`: all columns, under their
    /// own names.
    pub columns: Option<BTreeMap<String, String>>,
    /// Which rows replicas are to have. `None`: all.
    pub filter: Option<Filter>,
    /// The fields whose old values travel with a captured change.
    pub tracked: TrackedFields,
    /// How long its events are worth sending. `None`: as `[master]` says.
    pub ttl: Option<Duration>,
    /// Whether a captured change of no published field is no event.
    pub skip_unchanged: bool,
}

impl Master {
    /// The master in this database, without models.
    #[must_use]
    pub fn new(database: SecretUrl) -> Self {
        Self {
            database,
            message_ttl: None,
            models: Vec::new(),
        }
    }

    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let database = section.required(
            "database",
            &DATABASES,
            "\"postgres://localhost/shop\"",
            "The database that holds the outbox.",
        );
        let message_ttl = section.optional(
            "message_ttl",
            &Period(Duration::from_secs(1)..=Duration::from_hours(3_650 * 24)),
            "for ever",
            "\"1d\"",
            "The default time to live of events that do not set their own.",
        );
        let models = section.tables(
            "model",
            "master.model",
            "Models for the commands that read the master's tables by themselves.",
            MasterModel::read,
        );
        let models = distinct(section, models, |model| &model.cqrs_id);
        Some(Self {
            database: database?,
            message_ttl,
            models,
        })
    }
}

impl MasterModel {
    /// A model in a table whose columns have the names of the fields.
    #[must_use]
    pub fn new(cqrs_id: CqrsId, table: TableName, key: Vec<String>) -> Self {
        Self {
            cqrs_id,
            table,
            key,
            columns: None,
            filter: None,
            tracked: TrackedFields::default(),
            ttl: None,
            skip_unchanged: false,
        }
    }

    fn read(row: &mut Section<'_, '_>) -> Option<Self> {
        let cqrs_id = cqrs_id(row);
        let table = row.required(
            "table",
            &Table,
            "\"accounts\"",
            "The table with its instances.",
        );
        let key = row.required(
            "key",
            &Columns,
            "\"id\"",
            "The table's key column, or columns in order.",
        );
        let columns = row.optional(
            "columns",
            &Mapping,
            "all, named like the fields",
            "{ full_name = \"name\" }",
            "Which field of an event is read from which column: `{ field = \"column\" }`.",
        );
        let filter = row.optional(
            "filter",
            &FilterText,
            "all rows",
            r#"'{"status__in": ["active", "closed"]}'"#,
            "Which rows replicas are to have: field lookups as JSON. A row that leaves it is deleted there.",
        );
        let tracked = row.value(
            "tracked",
            &TrackedNames,
            TrackedFields::default(),
            "The fields whose old values travel with a captured change: a list, or \"all\".",
        );
        let ttl = row.optional(
            "ttl",
            &Period(Duration::from_secs(1)..=Duration::from_hours(3_650 * 24)),
            "`master.message_ttl`",
            "\"1d\"",
            "How long its captured events and syncs are worth sending.",
        );
        let skip_unchanged = row.value(
            "skip_unchanged",
            &Switch,
            false,
            "Whether a captured change that leaves all published fields as they were is no event.",
        );
        Some(Self {
            columns,
            filter,
            tracked,
            ttl,
            skip_unchanged,
            ..Self::new(cqrs_id?, table?, key?)
        })
    }
}

/// The key `cqrs_id` of a model.
pub(super) fn cqrs_id(row: &mut Section<'_, '_>) -> Option<CqrsId> {
    row.required(
        "cqrs_id",
        &Name::new(
            "a name",
            "1 to 100 bytes without white space, * and #, not starting with cqrs.",
        ),
        "\"account\"",
        "The model's name on the wire, `CQRS_ID` of django-cqrs.",
    )
}

/// The models without their places, after reporting those that come twice.
pub(super) fn distinct<T>(
    section: &mut Section<'_, '_>,
    models: Vec<(T, Place)>,
    cqrs_id: impl Fn(&T) -> &CqrsId,
) -> Vec<T> {
    for (index, (model, place)) in models.iter().enumerate() {
        let id = cqrs_id(model);
        if let Some((_, first)) = models[..index]
            .iter()
            .find(|(other, _)| cqrs_id(other) == id)
        {
            let what = format!("{id} is already at {first}");
            section.problem(place.clone(), "model", what, "keep one of the two");
        }
    }
    models.into_iter().map(|(model, _)| model).collect()
}
