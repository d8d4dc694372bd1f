//! The schema, in its versions.

use cqrs_core::{
    SecretUrl, StoreError,
    database::{
        Migration, MigrationSet,
        postgres::{PostgresConfig, migrate as apply},
    },
};

/// All of `migrations/postgres/outbox/`.
pub(crate) const MIGRATIONS: MigrationSet = MigrationSet {
    table: "cqrs_outbox_migrations",
    command: "cqrs-relay migrate",
    additive: &[9],
    migrations: &[
        Migration {
            number: 1,
            name: "outbox",
            sql: include_str!("../../migrations/postgres/outbox/0001_outbox.sql"),
        },
        Migration {
            number: 2,
            name: "transactions",
            sql: include_str!("../../migrations/postgres/outbox/0002_transactions.sql"),
        },
        Migration {
            number: 3,
            name: "capture",
            sql: include_str!("../../migrations/postgres/outbox/0003_capture.sql"),
        },
        Migration {
            number: 4,
            name: "command",
            sql: include_str!("../../migrations/postgres/outbox/0004_command.sql"),
        },
        Migration {
            number: 5,
            name: "capture_sessions",
            sql: include_str!("../../migrations/postgres/outbox/0005_capture_sessions.sql"),
        },
        Migration {
            number: 6,
            name: "dead_rows",
            sql: include_str!("../../migrations/postgres/outbox/0006_dead_rows.sql"),
        },
        Migration {
            number: 7,
            name: "publishing",
            sql: include_str!("../../migrations/postgres/outbox/0007_publishing.sql"),
        },
        Migration {
            number: 8,
            name: "capture_refusals",
            sql: include_str!("../../migrations/postgres/outbox/0008_capture_refusals.sql"),
        },
        Migration {
            number: 9,
            name: "capture_any_types",
            sql: include_str!("../../migrations/postgres/outbox/0009_capture_any_types.sql"),
        },
    ],
};

/// Applies what is missing.
pub(crate) async fn migrate(url: &SecretUrl) -> Result<(), StoreError> {
    apply(
        &PostgresConfig::new(url.clone(), "cqrs-outbox migrate"),
        &MIGRATIONS,
    )
    .await
}
