//! `[relay]`: how a relay forwards the outbox.

use std::time::Duration;

use super::{
    kind::{Choice, Integer, Kind, Period, Switch},
    section::Section,
};
use crate::RetryPolicy;

/// What a relay does with the newest state of an instance once it has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpiredRow {
    /// Keeps it among the dead, visible and retriable.
    #[default]
    Dead,
    /// Sends it without an expiry.
    Send,
}

/// How a relay works. Every value has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relay {
    /// How many rows one fetch brings at most.
    pub batch_size: u16,
    /// How many rows are held in memory at most, fetched and not yet settled.
    pub window: usize,
    /// How many connections publish at the same time.
    pub publishers: u16,
    /// How long its slots are safe from other relays after a sign of life.
    pub lease: Duration,
    /// The longest pause between two looks at an idle outbox.
    pub poll_interval: Duration,
    /// After how many failures that are its own fault a row is dead.
    pub max_attempts: u32,
    /// The pause after a row's first failure; it doubles with each further one.
    pub retry_initial: Duration,
    /// The longest pause between two attempts at a row.
    pub retry_max: Duration,
    /// The longest pause between two probes of a destination that refuses.
    pub destination_retry_max: Duration,
    /// What becomes of the newest state of an instance when it expires unsent.
    pub on_expired: ExpiredRow,
    /// How long the rows in flight may take to settle when the relay is told to stop.
    pub drain_timeout: Duration,
    /// How long one statement on the database may take.
    pub statement_timeout: Duration,
    /// Whether replicas that reconcile get answers by the broker.
    pub reconcile: bool,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            batch_size: 500,
            window: 2_000,
            publishers: 2,
            lease: Duration::from_secs(2),
            poll_interval: Duration::from_millis(250),
            max_attempts: 10,
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_mins(5),
            destination_retry_max: Duration::from_secs(30),
            on_expired: ExpiredRow::Dead,
            drain_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(10),
            reconcile: true,
        }
    }
}

impl Relay {
    /// How often a row is tried that fails by its own fault.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            initial: self.retry_initial,
            max: self.retry_max,
            max_attempts: Some(self.max_attempts),
            ..RetryPolicy::default()
        }
    }

    /// How often a destination is probed that refuses messages: for ever.
    #[must_use]
    pub fn destination_retry(&self) -> RetryPolicy {
        RetryPolicy::reconnect(self.destination_retry_max)
    }

    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        let batch_size = section.value(
            "batch_size",
            &Integer(1..=10_000),
            default.batch_size,
            "How many rows one fetch brings at most.",
        );
        let window = section.optional(
            "window",
            &Integer(1..=100_000),
            "4 x `batch_size`",
            "2000",
            "How many rows are held in memory at most, fetched and not yet settled. At least `batch_size`.",
        );
        if let Some(window) = window.filter(|window| *window < usize::from(batch_size)) {
            section.contradiction(
                ["window", "batch_size"],
                &format!("window ({window}) is less than batch_size ({batch_size})"),
                "raise window or lower batch_size",
            );
        }
        let publishers = section.value(
            "publishers",
            &Integer(1..=16),
            default.publishers,
            "How many connections publish at the same time.",
        );
        let lease = section.value(
            "lease",
            &Period(Duration::from_millis(500)..=Duration::from_mins(1)),
            default.lease,
            "How long its share of the outbox stays with a relay that gives no sign of life.",
        );
        let poll_interval = section.value(
            "poll_interval",
            &Period(Duration::from_millis(5)..=Duration::from_mins(1)),
            default.poll_interval,
            "The longest pause between two looks at an idle outbox; pauses are shorter while it is busy.",
        );
        let max_attempts = section.value(
            "max_attempts",
            &Integer(1..=1_000_000),
            default.max_attempts,
            "After how many failures a row is dead. Only failures by the row's own fault count.",
        );
        let (retry_initial, retry_max) = retry(
            section,
            (default.retry_initial, default.retry_max),
            (
                "The pause after a row's first failure; it doubles with each further one.",
                "The longest pause between two attempts at a row.",
            ),
        );
        let destination_retry_max = section.value(
            "destination_retry_max",
            &Period(Duration::from_millis(100)..=Duration::from_hours(1)),
            default.destination_retry_max,
            "The longest pause between two probes of a destination that refuses messages.",
        );
        let on_expired = section.value(
            "on_expired",
            &Choice(&[("dead", ExpiredRow::Dead), ("send", ExpiredRow::Send)]),
            default.on_expired,
            "What becomes of the newest state of an instance when it expires unsent: \
             kept as dead, or sent without expiry.",
        );
        let (drain_timeout, statement_timeout) =
            stop(section, default.drain_timeout, default.statement_timeout);
        let reconcile = section.value(
            "reconcile",
            &Switch,
            default.reconcile,
            "Whether replicas that reconcile get answers about `[[master.model]]` by the broker.",
        );
        Self {
            batch_size,
            window: window.unwrap_or(4 * usize::from(batch_size)),
            publishers,
            lease,
            poll_interval,
            max_attempts,
            retry_initial,
            retry_max,
            destination_retry_max,
            on_expired,
            drain_timeout,
            statement_timeout,
            reconcile,
        }
    }
}

/// `retry_initial` and `retry_max`, which must not contradict each other.
pub(super) fn retry(
    section: &mut Section<'_, '_>,
    (initial, max): (Duration, Duration),
    (initial_doc, max_doc): (&'static str, &'static str),
) -> (Duration, Duration) {
    let allowed = Period(Duration::from_millis(1)..=Duration::from_hours(24));
    let initial = section.value("retry_initial", &allowed, initial, initial_doc);
    let max = section.value("retry_max", &allowed, max, max_doc);
    if initial > max {
        let (initial, max) = (allowed.show(&initial), allowed.show(&max));
        section.contradiction(
            ["retry_initial", "retry_max"],
            &format!("retry_initial ({initial}) is longer than retry_max ({max})"),
            "lower retry_initial or raise retry_max",
        );
    }
    (initial, max)
}

/// `drain_timeout` and `statement_timeout`.
pub(super) fn stop(
    section: &mut Section<'_, '_>,
    drain: Duration,
    statement: Duration,
) -> (Duration, Duration) {
    let drain = section.value(
        "drain_timeout",
        &Period(Duration::ZERO..=Duration::from_hours(1)),
        drain,
        "How long the work in flight may take to finish after SIGTERM.",
    );
    let statement = section.value(
        "statement_timeout",
        &Period(Duration::from_millis(100)..=Duration::from_mins(10)),
        statement,
        "How long one statement on the database may take.",
    );
    (drain, statement)
}
