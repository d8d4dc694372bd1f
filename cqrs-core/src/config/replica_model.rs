//! `[[replica.model]]`: a model that goes into a table.

use std::{collections::BTreeMap, time::Duration};

use super::{
    attempts::{Attempts, AttemptsKind},
    columns::{Columns, Mapping, Table, TableName},
    kind::{Kind, Number, Period, Switch},
    master::cqrs_id,
    replica::ExpiredMessage,
    section::Section,
};
use crate::CqrsId;

/// A model whose instances are kept as rows of a table.
#[derive(Debug, Clone, PartialEq)]
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
    /// Which fields of `columns` an event may lack.
    pub optional: Vec<String>,
    /// What becomes of an expired message. `None`: what the replica says.
    pub on_expired: Option<ExpiredMessage>,
    /// Whether a sync may take an instance back to a lower revision.
    pub sync_downgrade: bool,
    /// Whether syncs that were not sent to this queue alone are left out.
    pub only_direct_syncs: bool,
    /// After how many failures a message is a dead letter. `None`: as the replica says.
    pub max_attempts: Option<Attempts>,
    /// The pause after a message's first failure. `None`: as the replica says.
    pub retry_initial: Option<Duration>,
    /// What each further failure multiplies the pause with. `None`: as the replica says.
    pub retry_factor: Option<f64>,
    /// The longest pause. `None`: as the replica says.
    pub retry_max: Option<Duration>,
    /// How long a statement on the table may take. `None`: as the replica says.
    pub statement_timeout: Option<Duration>,
    /// Whether its dead letters are published to the broker's queue of dead letters as well.
    pub publish_dead_letters: bool,
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
            optional: Vec::new(),
            on_expired: None,
            sync_downgrade: false,
            only_direct_syncs: false,
            max_attempts: None,
            retry_initial: None,
            retry_factor: None,
            retry_max: None,
            statement_timeout: None,
            publish_dead_letters: false,
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
        let optional = row.optional(
            "optional",
            &Columns,
            "none",
            "[\"nickname\"]",
            "Fields of `columns` that an event may lack; the column then keeps its value. An event that \
             lacks another field of `columns` fails (`missing_field`).",
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
        let only_direct_syncs = row.value(
            "only_direct_syncs",
            &Switch,
            false,
            "Whether syncs are applied only if they were sent to this queue alone; others are counted \
             as skipped.",
        );
        let retry = ModelRetry::read(row);
        let statement_timeout = row.optional(
            "statement_timeout",
            &Period(Duration::from_millis(10)..=Duration::from_mins(10)),
            "`replica.statement_timeout`",
            "\"500ms\"",
            "How long a statement on the table may take; one that takes longer is the message's failure. \
             PostgreSQL only.",
        );
        let publish_dead_letters = row.value(
            "publish_dead_letters",
            &Switch,
            false,
            "Whether its dead letters are sent to `replica.dead_letter_queue` as well, as django-cqrs sends \
             them.",
        );
        Some(Self {
            columns,
            optional: optional.unwrap_or_default(),
            on_expired,
            sync_downgrade,
            only_direct_syncs,
            max_attempts: retry.max_attempts,
            retry_initial: retry.initial,
            retry_factor: retry.factor,
            retry_max: retry.max,
            statement_timeout,
            publish_dead_letters,
            ..Self::new(cqrs_id?, table?, key?)
        })
    }
}

/// What a model says itself of retries.
struct ModelRetry {
    max_attempts: Option<Attempts>,
    initial: Option<Duration>,
    factor: Option<f64>,
    max: Option<Duration>,
}

impl ModelRetry {
    fn read(row: &mut Section<'_, '_>) -> Self {
        let pause = Period(Duration::from_millis(1)..=Duration::from_hours(24));
        let max_attempts = row.optional(
            "max_attempts",
            &AttemptsKind,
            "`replica.max_attempts`",
            "31",
            "After how many failures a message of this model is a dead letter; 1 means no retry.",
        );
        let initial = row.optional(
            "retry_initial",
            &pause,
            "`replica.retry_initial`",
            "\"2s\"",
            "The pause after a message's first failure.",
        );
        let factor = row.optional(
            "retry_factor",
            &Number(1.0..=10.0),
            "`replica.retry_factor`",
            "2.0",
            "What each further failure multiplies the pause with.",
        );
        let max = row.optional(
            "retry_max",
            &pause,
            "`replica.retry_max`",
            "\"5m\"",
            "The longest pause between two attempts at a message.",
        );
        if let (Some(initial), Some(max)) = (initial, max)
            && initial > max
        {
            let (initial, max) = (pause.show(&initial), pause.show(&max));
            row.contradiction(
                ["retry_initial", "retry_max"],
                &format!("retry_initial ({initial}) is longer than retry_max ({max})"),
                "lower retry_initial or raise retry_max",
            );
        }
        Self {
            max_attempts,
            initial,
            factor,
            max,
        }
    }
}
