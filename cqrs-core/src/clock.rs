//! Time as a parameter, so that leases, expiry and backoff are tested without waiting for them.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

/// Where a component reads the time.
///
/// `now` may jump, forwards or back; whatever must only move forwards (leases, timeouts) uses
/// `monotonic`.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> DateTime<Utc>;

    /// A clock that never goes back. It goes on while the process is stopped.
    fn monotonic(&self) -> Instant;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is moved. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    base: Instant,
    hands: Arc<Mutex<Hands>>,
}

#[derive(Debug)]
struct Hands {
    now: DateTime<Utc>,
    elapsed: Duration,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        let hands = Hands {
            now,
            elapsed: Duration::ZERO,
        };
        Self {
            base: Instant::now(),
            hands: Arc::new(Mutex::new(hands)),
        }
    }

    /// Moves both clocks forwards.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        hands.now += by;
        hands.elapsed += by;
    }

    /// Sets the wall clock alone, as an operator or NTP may do.
    pub fn set(&self, now: DateTime<Utc>) {
        self.hands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .now = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.hands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .now
    }

    fn monotonic(&self) -> Instant {
        self.base
            + self
                .hands
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .elapsed
    }
}
