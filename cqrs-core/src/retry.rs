//! How long to wait before the next attempt.

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};

/// Exponential backoff with jitter and a cap.
///
/// The delay follows from the number of attempts alone, so that a caller can keep that number in a
/// table and go on where another process stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The delay after the first attempt.
    pub initial: Duration,
    /// What each further attempt multiplies it with.
    pub factor: f64,
    /// The longest delay, jitter included.
    pub max: Duration,
    /// How far a delay may differ from its nominal value, as a share of it (0 to 1).
    pub jitter: f64,
    /// After how many attempts to give up. `None`: never.
    pub max_attempts: Option<u32>,
}

impl Default for RetryPolicy {
    /// 1 s, doubling up to 5 minutes, a fifth of jitter, 10 attempts.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(5),
            jitter: 0.2,
            max_attempts: Some(10),
        }
    }
}

impl RetryPolicy {
    /// For connections: 100 ms, doubling up to `max`, for ever.
    #[must_use]
    pub fn reconnect(max: Duration) -> Self {
        Self {
            initial: Duration::from_millis(100),
            max,
            max_attempts: None,
            ..Self::default()
        }
    }

    /// The delay before the next attempt when `attempts` have failed, or `None` to give up.
    #[must_use]
    pub fn delay(&self, attempts: u32) -> Option<Duration> {
        if self.max_attempts.is_some_and(|max| attempts >= max) {
            return None;
        }
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let nominal = self.initial.as_secs_f64() * self.factor.powi(exponent);
        // The comparison also catches the infinity of a long series.
        let nominal = if nominal < self.max.as_secs_f64() {
            Duration::from_secs_f64(nominal)
        } else {
            self.max
        };
        let mut draw = ExponentialBackoff {
            current_interval: nominal,
            initial_interval: nominal,
            randomization_factor: self.jitter.clamp(0.0, 1.0),
            multiplier: 1.0,
            max_interval: self.max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Some(draw.next_backoff().unwrap_or(nominal).min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_then_gives_up() {
        let policy = RetryPolicy {
            jitter: 0.0,
            max: Duration::from_secs(5),
            max_attempts: Some(5),
            ..RetryPolicy::default()
        };
        let delays: Vec<_> = (1..=5)
            .map(|n| policy.delay(n).map(|d| d.as_secs()))
            .collect();
        assert_eq!(delays, [Some(1), Some(2), Some(4), Some(5), None]);
    }

    proptest! {
        #[test]
        fn a_delay_is_near_its_nominal_value_and_never_over_the_cap(attempts in 1_u32..10_000) {
            let policy = RetryPolicy { max_attempts: None, ..RetryPolicy::default() };
            let delay = policy.delay(attempts).unwrap();
            let nominal = 2_f64.powi(i32::try_from(attempts).unwrap().min(20) - 1).min(300.0);
            prop_assert!(delay <= policy.max);
            prop_assert!(delay.as_secs_f64() >= nominal * 0.79);
            prop_assert!(delay.as_secs_f64() <= nominal * 1.21);
        }
    }
}
