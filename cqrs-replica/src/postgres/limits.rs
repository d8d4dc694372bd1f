//! How long statements may take, and wait for locks.

use std::time::Duration;

use cqrs_core::database::postgres::PostgresConfig;

use crate::apply::Pace;

/// At most so long for a lock and for a statement of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) lock: Duration,
    pub(super) statement: Duration,
}

impl Limits {
    /// As long as is configured.
    pub(super) const fn configured(config: &PostgresConfig) -> Self {
        Self {
            lock: config.lock_timeout,
            statement: config.statement_timeout,
        }
    }

    /// What is left of these at a pace. Statements of the user's own code keep theirs.
    pub(super) fn at(self, pace: Pace, own_code: bool) -> Self {
        let (lock, statement) = match pace {
            Pace::Busy => (1000, 2000),
            Pace::Quick => (50, 500),
        };
        let statement = if own_code { u64::MAX } else { statement };
        Self {
            lock: self.lock.min(Duration::from_millis(lock)),
            statement: self.statement.min(Duration::from_millis(statement)),
        }
    }
}
