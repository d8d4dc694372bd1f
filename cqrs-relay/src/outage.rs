//! One story per outage, however many connections it hits.

use std::{
    error::Error,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cqrs_core::{Clock, RetryPolicy};

use crate::meter;

/// The far side that several connections lead to.
#[derive(Debug)]
pub(crate) struct FarSide {
    name: &'static str,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    outage: Mutex<Outage>,
}

#[derive(Debug, Default)]
struct Outage {
    lost: usize,
    since: Option<Instant>,
}

/// One connection's view of it: counts failures, paces attempts, writes one warning when the first
/// connection is lost and one line when the last is back.
#[derive(Debug)]
pub(crate) struct Contact {
    side: Arc<FarSide>,
    failures: u32,
    proven: bool,
    connected: Option<Instant>,
    /// Whether the last connection could be made, but not used.
    flaps: bool,
}

/// A connection lost sooner than this was of no use.
const OF_USE: Duration = Duration::from_secs(30);

impl FarSide {
    pub(crate) fn new(name: &'static str, clock: Arc<dyn Clock>, retry: RetryPolicy) -> Arc<Self> {
        Arc::new(Self {
            name,
            clock,
            retry,
            outage: Mutex::default(),
        })
    }

    pub(crate) fn contact(self: &Arc<Self>) -> Contact {
        Contact {
            side: Arc::clone(self),
            failures: 0,
            proven: false,
            connected: None,
            flaps: false,
        }
    }
}

impl Contact {
    /// Whether this connection has ever worked.
    pub(crate) const fn is_proven(&self) -> bool {
        self.proven
    }

    /// The connection is lost, or could not be made.
    pub(crate) fn lost(&mut self, error: &dyn Error) {
        self.failures = self.failures.saturating_add(1);
        if let Some(since) = self.connected.take() {
            let lasted = self.side.clock.monotonic().saturating_duration_since(since);
            self.flaps = lasted < OF_USE;
        }
        let side = self.side.name;
        let chain = chain(error);
        let mut outage = self
            .side
            .outage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        outage.lost += usize::from(self.failures == 1);
        if outage.since.is_none() {
            outage.since = Some(self.side.clock.monotonic());
            tracing::warn!(side, error = chain, "lost, trying again until it works");
        } else {
            tracing::debug!(side, error = chain, failures = self.failures, "still lost");
        }
    }

    /// The connection is made. That ends the outage, unless the last one was of no use: then it has
    /// to answer first, or a peer that takes connections and fails would flood the log.
    pub(crate) fn connected(&mut self) {
        self.proven = true;
        if !self.flaps {
            self.works();
        }
        self.connected = Some(self.side.clock.monotonic());
    }

    /// The connection has answered. Cheap when it did before.
    pub(crate) fn works(&mut self) {
        self.flaps = false;
        if self.failures == 0 {
            return;
        }
        self.failures = 0;
        let side = self.side.name;
        meter::reconnected(side);
        let mut outage = self
            .side
            .outage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        outage.lost = outage.lost.saturating_sub(1);
        if outage.lost == 0
            && let Some(since) = outage.since.take()
        {
            let after = self.side.clock.monotonic().saturating_duration_since(since);
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(side, after_ms, "back again");
        }
    }

    /// Waits as long as the failures so far demand. Cancellation: safe.
    pub(crate) async fn pause(&self) {
        if self.failures > 0 {
            let delay = self
                .side
                .retry
                .delay(self.failures)
                .unwrap_or(Duration::from_secs(1));
            tokio::time::sleep(delay).await;
        }
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        if self.failures > 0 {
            let mut outage = self
                .side
                .outage
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            outage.lost = outage.lost.saturating_sub(1);
        }
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use cqrs_core::ManualClock;

    use super::*;

    fn side() -> (ManualClock, Arc<FarSide>) {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let retry = RetryPolicy::reconnect(Duration::from_secs(1));
        let side = FarSide::new("broker", Arc::new(clock.clone()), retry);
        (clock, side)
    }

    fn is_out(side: &FarSide) -> bool {
        side.outage.lock().unwrap().since.is_some()
    }

    #[test]
    fn an_outage_lasts_until_the_last_connection_is_back() {
        let (_, side) = side();
        let (mut one, mut other) = (side.contact(), side.contact());
        let error = io::Error::other("gone");
        one.lost(&error);
        other.lost(&error);
        other.lost(&error);
        one.connected();
        assert!(is_out(&side));
        other.connected();
        assert!(!is_out(&side));
    }

    #[test]
    fn a_connection_that_is_lost_at_once_has_to_answer_the_next_time() {
        let (clock, side) = side();
        let mut contact = side.contact();
        let error = io::Error::other("gone");
        contact.connected();
        contact.lost(&error);
        contact.connected();
        assert!(is_out(&side));
        contact.lost(&error);
        contact.connected();
        contact.works();
        assert!(!is_out(&side));
        clock.advance(OF_USE);
        contact.lost(&error);
        contact.connected();
        assert!(!is_out(&side), "one that lasted is believed");
    }
}
