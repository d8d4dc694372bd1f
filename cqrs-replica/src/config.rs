//! How a worker works.

use std::{num::NonZeroU16, time::Duration};

use cqrs_core::{QueueName, RetryPolicy, SLOTS, wire};

use crate::ApplyPolicy;

/// The least of [`WorkerConfig::prefetch_bytes`].
const LEAST_PREFETCH: usize = 1024 * 1024;

/// The settings of a [`Worker`](crate::Worker).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// The queue, and what the apply rules need to know.
    pub apply: ApplyPolicy,
    /// The queue of dead letters that is declared beside it, as django-cqrs does. Our dead letters
    /// stand in a table; a model may have its own published there as well
    /// ([`Model::with_published_dead_letters`](crate::Model::with_published_dead_letters)). Default: `dead_letter_<queue>`, if that is a name.
    pub dead_letter_queue: Option<QueueName>,
    /// How many messages may be unacknowledged. Default: 1000.
    pub prefetch: NonZeroU16,
    /// About how much memory they may take together, in bytes; fewer are prefetched while they are
    /// large. At least 1 MiB. Default: 64 MiB.
    pub prefetch_bytes: usize,
    /// The longest body that is applied, in bytes; what is longer is kept as a letter. Default:
    /// 128 MiB, the longest that `RabbitMQ` brings.
    pub max_message_bytes: usize,
    /// How many batches are applied at the same time, each on a connection of its own; 1 to 64.
    /// Default: 4.
    pub lanes: u16,
    /// How many messages one transaction applies at most; 1 to 5000. Default: 200.
    pub batch_size: u16,
    /// How long the first message of an idle lane waits for others; up to 1 s. Default: 5 ms.
    pub batch_wait: Duration,
    /// The longest pause between two looks for letters that are due; 10 ms to 1 minute. Default: 1 s.
    pub letter_interval: Duration,
    /// How long it is remembered that an instance was deleted, and at least as long as a letter of it
    /// may be tried again. Must be longer than any message can be late; at least 1 s. Default: 90 days.
    pub tombstone_ttl: Duration,
    /// How long dead letters are kept, here and by a broker that they are published to, and others
    /// that nothing is to be done about any more; at least 1 s. Default, `None`: dead ones for ever, the others for `tombstone_ttl`.
    pub dead_letter_ttl: Option<Duration>,
    /// How often the worker shows that it is alive; 100 ms to 1 minute. Default: 1 s.
    pub heartbeat: Duration,
    /// How often a lost connection is made anew. Default: for ever, the first pause 100 ms, the
    /// longest 2 s.
    pub reconnect: RetryPolicy,
    /// How long what is in hand may take to finish when the worker is told to stop. Default: 20 s.
    pub drain_timeout: Duration,
}

impl WorkerConfig {
    /// The defaults, for this queue.
    #[must_use]
    pub fn new(queue: QueueName) -> Self {
        Self {
            dead_letter_queue: QueueName::new(&format!("dead_letter_{queue}")).ok(),
            apply: ApplyPolicy::new(queue),
            prefetch: NonZeroU16::MIN.saturating_add(999),
            prefetch_bytes: 64 * 1024 * 1024,
            max_message_bytes: wire::MAX_BODY,
            lanes: 4,
            batch_size: 200,
            batch_wait: Duration::from_millis(5),
            letter_interval: Duration::from_secs(1),
            tombstone_ttl: Duration::from_hours(90 * 24),
            dead_letter_ttl: None,
            heartbeat: Duration::from_secs(1),
            reconnect: RetryPolicy::reconnect(Duration::from_secs(2)),
            drain_timeout: Duration::from_secs(20),
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let mut problems = Vec::new();
        let mut number = |name, value: u16, max: u16| {
            if !(1..=max).contains(&value) {
                problems.push(format!("{name} is {value}; use 1 to {max}"));
            }
        };
        number("lanes", self.lanes, SLOTS);
        number("batch_size", self.batch_size, 5_000);
        let mut period = |name, value: Duration, min: Duration, max: Duration| {
            if !(min..=max).contains(&value) {
                problems.push(format!("{name} is {value:?}; use {min:?} to {max:?}"));
            }
        };
        let (brief, minute) = (Duration::from_millis(10), Duration::from_mins(1));
        period(
            "batch_wait",
            self.batch_wait,
            Duration::ZERO,
            Duration::from_secs(1),
        );
        period("letter_interval", self.letter_interval, brief, minute);
        period(
            "heartbeat",
            self.heartbeat,
            Duration::from_millis(100),
            minute,
        );
        period("reconnect.max", self.reconnect.max, brief, minute);
        if self.prefetch_bytes < LEAST_PREFETCH {
            problems.push(format!(
                "prefetch_bytes is {}; use at least {LEAST_PREFETCH}",
                self.prefetch_bytes
            ));
        }
        if self.tombstone_ttl < Duration::from_secs(1) {
            problems.push(format!(
                "tombstone_ttl is {:?}; use at least 1s",
                self.tombstone_ttl
            ));
        }
        if let Some(ttl) = self.dead_letter_ttl
            && ttl < Duration::from_secs(1)
        {
            problems.push(format!("dead_letter_ttl is {ttl:?}; use at least 1s"));
        }
        if self.dead_letter_queue.as_ref() == Some(&self.apply.queue) {
            problems.push("dead_letter_queue is the queue itself; name another one".to_owned());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidConfig { problems })
        }
    }
}

/// What is wrong with a [`WorkerConfig`]: one line each when displayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct InvalidConfig {
    problems: Vec<String>,
}

impl InvalidConfig {
    pub(crate) fn one(problem: String) -> Self {
        Self {
            problems: vec![problem],
        }
    }

    /// Each problem with its remedy.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> WorkerConfig {
        WorkerConfig::new(QueueName::new("billing").unwrap())
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(defaults().validate(), Ok(()));
        assert_eq!(
            defaults().dead_letter_queue.unwrap().as_str(),
            "dead_letter_billing"
        );
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut config = defaults();
        config.lanes = 65;
        config.batch_size = 0;
        config.prefetch_bytes = 1000;
        config.heartbeat = Duration::from_hours(1);
        config.dead_letter_ttl = Some(Duration::ZERO);
        config.dead_letter_queue = Some(config.apply.queue.clone());
        let error = config.validate().unwrap_err();
        assert_eq!(error.problems().len(), 6);
        assert!(
            error
                .to_string()
                .contains("lanes is 65; use 1 to 64\nbatch_size is 0")
        );
    }
}
