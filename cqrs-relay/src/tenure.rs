//! Whether this relay may still act for its slots, by its own clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cqrs_core::Clock;

/// A lease lasts from the moment its renewal reached the database, which is later than the moment
/// the renewal was sent. So a relay that counts from the sending, on a clock that never goes back,
/// stops before anybody else begins; it counts only two thirds, so that clocks may run unequally
/// and a write may take its time.
#[derive(Debug)]
pub(crate) struct Tenure {
    clock: Arc<dyn Clock>,
    origin: Instant,
    safe_for: Duration,
    /// Nanoseconds after `origin`.
    until: AtomicU64,
}

impl Tenure {
    /// No tenure yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, lease: Duration) -> Self {
        let origin = clock.monotonic();
        Self {
            clock,
            origin,
            safe_for: lease * 2 / 3,
            until: AtomicU64::new(0),
        }
    }

    /// The time now, to be taken before a renewal is sent.
    pub(crate) fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    /// A renewal that was sent at `sent` has succeeded.
    pub(crate) fn renew(&self, sent: Instant) {
        let until = sent.saturating_duration_since(self.origin) + self.safe_for;
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.until.fetch_max(until, Ordering::AcqRel);
    }

    /// How long writes to the broker are still safe; zero if they are not.
    pub(crate) fn remaining(&self) -> Duration {
        let until = Duration::from_nanos(self.until.load(Ordering::Acquire));
        until.saturating_sub(
            self.clock
                .monotonic()
                .saturating_duration_since(self.origin),
        )
    }

    /// Whether a write to the broker is safe now.
    pub(crate) fn is_safe(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Returns when writes are no longer safe. Cancellation: safe.
    pub(crate) async fn lapsed(&self) {
        loop {
            let remaining = self.remaining();
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::ManualClock;

    use super::*;

    const LEASE: Duration = Duration::from_secs(3);

    fn tenure() -> (ManualClock, Tenure) {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        (clock.clone(), Tenure::new(Arc::new(clock), LEASE))
    }

    #[test]
    fn lasts_two_thirds_of_a_lease_from_the_sending() {
        let (clock, tenure) = tenure();
        assert!(!tenure.is_safe());
        let sent = tenure.now();
        clock.advance(Duration::from_millis(500));
        tenure.renew(sent);
        assert_eq!(tenure.remaining(), Duration::from_millis(1500));
        clock.advance(Duration::from_millis(1499));
        assert!(tenure.is_safe());
        clock.advance(Duration::from_millis(1));
        assert!(!tenure.is_safe());
    }

    #[test]
    fn ignores_the_wall_clock_and_old_news() {
        let (clock, tenure) = tenure();
        let old = tenure.now();
        clock.advance(Duration::from_secs(1));
        tenure.renew(tenure.now());
        clock.set(chrono::DateTime::UNIX_EPOCH - chrono::TimeDelta::hours(1));
        tenure.renew(old);
        assert_eq!(tenure.remaining(), Duration::from_secs(2));
    }
}
