//! How a relay works.

use std::time::Duration;

use cqrs_core::{RetryPolicy, wire};

/// What a relay does with a row whose time to live has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExpired {
    /// Keeps the newest state of an instance among the dead, visible and retriable; drops what a
    /// later revision has superseded.
    #[default]
    Dead,
    /// Sends it without an expiry.
    Send,
}

/// The settings of a [`Relay`](crate::Relay). Every field has a default.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RelayConfig {
    /// How many rows one fetch brings and one batch for the broker holds, at most. Default: 500.
    pub batch_size: usize,
    /// How many rows are held in memory, fetched and not yet settled, at most. Default: 2000.
    pub window: usize,
    /// About how many bytes of bodies are held in memory. Default: 64 MiB.
    pub window_bytes: usize,
    /// The longest body that is sent, in bytes: what is longer is dead at once. No more than the broker
    /// takes. Default: 128 MiB, the longest that `RabbitMQ` takes.
    pub max_message_bytes: usize,
    /// How many connections publish at the same time. Default: 2.
    pub publishers: u16,
    /// How long slots are safe from other relays after a sign of life. All relays of one outbox
    /// use the same. Default: 2 s.
    pub lease: Duration,
    /// The longest pause between two looks at an idle outbox. Default: 250 ms.
    pub poll_interval: Duration,
    /// How often an idle relay reads the outbox from its beginning, where somebody may have put rows
    /// back; less often if that takes more than a hundredth of it. Default: 1 minute.
    pub reread_interval: Duration,
    /// How often a row is tried that fails through its own fault. Default: 10 attempts, the first
    /// pause 1 s, the longest 5 minutes.
    pub retry: RetryPolicy,
    /// How often a destination is probed that does not take messages. Default: for ever, the
    /// first pause 100 ms, the longest 30 s.
    pub destination_retry: RetryPolicy,
    /// How often a lost connection is made anew. Default: for ever, the first pause 100 ms, the
    /// longest 2 s.
    pub reconnect: RetryPolicy,
    /// What becomes of expired rows.
    pub on_expired: OnExpired,
    /// How long the rows in flight may take to settle when the relay is told to stop. Default:
    /// 20 s.
    pub drain_timeout: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            batch_size: 500,
            window: 2_000,
            window_bytes: 64 * 1024 * 1024,
            max_message_bytes: wire::MAX_BODY,
            publishers: 2,
            lease: Duration::from_secs(2),
            poll_interval: Duration::from_millis(250),
            reread_interval: Duration::from_mins(1),
            retry: RetryPolicy::default(),
            destination_retry: RetryPolicy::reconnect(Duration::from_secs(30)),
            reconnect: RetryPolicy::reconnect(Duration::from_secs(2)),
            on_expired: OnExpired::Dead,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

impl RelayConfig {
    /// Checks the fields against each other.
    ///
    /// # Errors
    /// All problems at once.
    pub fn validate(&self) -> Result<(), RelayConfigError> {
        let rules = [
            (self.batch_size > 0, "batch_size is 0"),
            (
                self.window >= self.batch_size,
                "window is less than batch_size",
            ),
            (self.window_bytes > 0, "window_bytes is 0"),
            (self.max_message_bytes > 0, "max_message_bytes is 0"),
            (
                (1..=16).contains(&self.publishers),
                "publishers is not between 1 and 16",
            ),
            (
                self.lease >= Duration::from_millis(100),
                "lease is shorter than 100 ms",
            ),
            (!self.poll_interval.is_zero(), "poll_interval is 0"),
            (!self.reread_interval.is_zero(), "reread_interval is 0"),
            (self.reconnect.max_attempts.is_none(), "reconnect gives up"),
            (
                self.destination_retry.max_attempts.is_none(),
                "destination_retry gives up",
            ),
        ];
        let problems: Vec<_> = rules
            .iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, problem)| *problem)
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RelayConfigError { problems })
        }
    }
}

/// A [`RelayConfig`] that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the relay cannot work like this: {}", problems.join(", "))]
pub struct RelayConfigError {
    /// What is wrong, one sentence each.
    pub problems: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_all_problems_are_reported_at_once() {
        RelayConfig::default().validate().unwrap();
        let bad = RelayConfig {
            batch_size: 0,
            publishers: 0,
            ..RelayConfig::default()
        };
        assert_eq!(bad.validate().unwrap_err().problems.len(), 2);
    }
}
