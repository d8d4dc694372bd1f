//! The replica's own tables, as numbered migrations.

use cqrs_core::database::{Migration, MigrationSet};

const TABLE: &str = "cqrs_replica_migrations";
const COMMAND: &str = "cqrs-replica migrate";

/// For `PostgreSQL`.
#[cfg(feature = "postgres")]
pub(crate) const POSTGRES: MigrationSet = MigrationSet {
    table: TABLE,
    command: COMMAND,
    additive: &[6, 7],
    migrations: &[
        Migration {
            number: 1,
            name: "replica",
            sql: include_str!("../migrations/postgres/replica/0001_replica.sql"),
        },
        Migration {
            number: 2,
            name: "forced",
            sql: include_str!("../migrations/postgres/replica/0002_forced.sql"),
        },
        Migration {
            number: 3,
            name: "references",
            sql: include_str!("../migrations/postgres/replica/0003_references.sql"),
        },
        Migration {
            number: 4,
            name: "published",
            sql: include_str!("../migrations/postgres/replica/0004_published.sql"),
        },
        Migration {
            number: 5,
            name: "letters_by_instance",
            sql: include_str!("../migrations/postgres/replica/0005_letters_by_instance.sql"),
        },
        Migration {
            number: 6,
            name: "paused",
            sql: include_str!("../migrations/postgres/replica/0006_paused.sql"),
        },
        Migration {
            number: 7,
            name: "losses",
            sql: include_str!("../migrations/postgres/replica/0007_losses.sql"),
        },
    ],
};

/// For `SQLite`.
#[cfg(feature = "sqlite")]
pub(crate) const SQLITE: MigrationSet = MigrationSet {
    table: TABLE,
    command: COMMAND,
    additive: &[6, 7],
    migrations: &[
        Migration {
            number: 1,
            name: "replica",
            sql: include_str!("../migrations/sqlite/replica/0001_replica.sql"),
        },
        Migration {
            number: 2,
            name: "forced",
            sql: include_str!("../migrations/sqlite/replica/0002_forced.sql"),
        },
        Migration {
            number: 3,
            name: "references",
            sql: include_str!("../migrations/sqlite/replica/0003_references.sql"),
        },
        Migration {
            number: 4,
            name: "published",
            sql: include_str!("../migrations/sqlite/replica/0004_published.sql"),
        },
        Migration {
            number: 5,
            name: "letters_by_instance",
            sql: include_str!("../migrations/sqlite/replica/0005_letters_by_instance.sql"),
        },
        Migration {
            number: 6,
            name: "paused",
            sql: include_str!("../migrations/sqlite/replica/0006_paused.sql"),
        },
        Migration {
            number: 7,
            name: "losses",
            sql: include_str!("../migrations/sqlite/replica/0007_losses.sql"),
        },
    ],
};
