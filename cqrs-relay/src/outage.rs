//! One story per outage, however many connections it hits.

use std::{
    collections::HashSet,
    error::Error,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cqrs_core::{Clock, RetryPolicy};
use tokio::sync::Notify;

use crate::meter;

/// The far side that several connections lead to.
#[derive(Debug)]
pub(crate) struct FarSide {
    name: &'static str,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    outage: Mutex<Outage>,
    /// Told when a connection works that did not.
    restored: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Outage {
    lost: usize,
    since: Option<Instant>,
    /// What the log has told about it.
    told: HashSet<String>,
    /// By number of the contact. Whoever is dropped counts no longer.
    connections: Vec<Option<Connection>>,
}

#[derive(Debug, Clone, Copy)]
enum Connection {
    Works,
    /// It has not worked since then. It is made, if it is, since `made`, and has yet to prove itself.
    Fails {
        since: Instant,
        made: Option<Instant>,
    },
}

/// One connection's view of it: counts failures, paces attempts, writes one warning when the first
/// connection is lost, one for each other error, and one line when the last is back.
#[derive(Debug)]
pub(crate) struct Contact {
    side: Arc<FarSide>,
    number: usize,
    failures: u32,
    proven: bool,
    connected: Option<Instant>,
    /// Whether the last connection could be made, but not used.
    flaps: bool,
}

/// A connection lost sooner than this was of no use.
const OF_USE: Duration = Duration::from_secs(30);
/// More different errors of one outage than this are not told as warnings.
const TOLD: usize = 50;

impl FarSide {
    pub(crate) fn new(
        name: &'static str,
        clock: Arc<dyn Clock>,
        retry: RetryPolicy,
        restored: Arc<Notify>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            clock,
            retry,
            outage: Mutex::default(),
            restored,
        })
    }

    pub(crate) fn contact(self: &Arc<Self>) -> Contact {
        let mut outage = self.outage();
        let number = outage.connections.len();
        outage.connections.push(Some(Connection::Fails {
            since: self.clock.monotonic(),
            made: None,
        }));
        Contact {
            side: Arc::clone(self),
            number,
            failures: 0,
            proven: false,
            connected: None,
            flaps: false,
        }
    }

    /// For how long a connection has not worked, the worst of them; `None` when all work. One that
    /// was made, but could not be used before, is believed once it has stood for as long as the
    /// trouble lasted, 30 s at most: otherwise one with nothing to do would never be believed.
    pub(crate) fn fails_for(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let fails_for = |connection: &Connection| match *connection {
            Connection::Works => None,
            Connection::Fails { since, made } => {
                let stands = made.is_some_and(|made| {
                    let trouble = made.saturating_duration_since(since);
                    now.saturating_duration_since(made) >= trouble.min(OF_USE)
                });
                (!stands).then(|| now.saturating_duration_since(since))
            }
        };
        let outage = self.outage();
        outage
            .connections
            .iter()
            .flatten()
            .filter_map(fails_for)
            .max()
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
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
        let now = self.side.clock.monotonic();
        if let Some(since) = self.connected.take() {
            self.flaps = now.saturating_duration_since(since) < OF_USE;
        }
        let side = self.side.name;
        let chain = chain(error);
        let mut outage = self.side.outage();
        let connection = &mut outage.connections[self.number];
        let since = match connection {
            Some(Connection::Fails { since, .. }) => *since,
            Some(Connection::Works) | None => now,
        };
        *connection = Some(Connection::Fails { since, made: None });
        outage.lost += usize::from(self.failures == 1);
        if outage.since.is_none() {
            outage.since = Some(now);
            outage.told.clear();
            tracing::warn!(side, error = chain, "lost, trying again until it works");
            outage.told.insert(chain);
        } else if outage.told.len() < TOLD && !outage.told.contains(&chain) {
            tracing::warn!(side, error = chain, "still lost, for another reason");
            outage.told.insert(chain);
        } else {
            tracing::debug!(side, error = chain, failures = self.failures, "still lost");
        }
    }

    /// The connection is made. That ends the outage, unless the last one was of no use: then it has
    /// to answer first, or a peer that takes connections and fails would flood the log.
    pub(crate) fn connected(&mut self) {
        self.proven = true;
        let now = self.side.clock.monotonic();
        self.connected = Some(now);
        if self.flaps {
            let mut outage = self.side.outage();
            if let Some(Connection::Fails { made, .. }) = &mut outage.connections[self.number] {
                *made = Some(now);
            }
        } else {
            self.side.outage().connections[self.number] = Some(Connection::Works);
            self.side.restored.notify_one();
            self.works();
        }
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
        let mut outage = self.side.outage();
        outage.connections[self.number] = Some(Connection::Works);
        self.side.restored.notify_one();
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
        let mut outage = self.side.outage();
        outage.connections[self.number] = None;
        if self.failures > 0 {
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
        let side = FarSide::new("broker", Arc::new(clock.clone()), retry, Arc::default());
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
    fn a_connection_fails_from_its_loss_until_it_works() {
        let (clock, side) = side();
        let mut contact = side.contact();
        clock.advance(Duration::from_secs(3));
        assert_eq!(side.fails_for(), Some(Duration::from_secs(3)), "never made");
        contact.connected();
        assert_eq!(side.fails_for(), None);
        clock.advance(OF_USE);
        contact.lost(&io::Error::other("gone"));
        clock.advance(Duration::from_secs(1));
        contact.lost(&io::Error::other("refused"));
        assert_eq!(side.fails_for(), Some(Duration::from_secs(1)));
        contact.connected();
        assert_eq!(side.fails_for(), None);
    }

    #[test]
    fn a_connection_that_could_not_be_used_is_believed_once_it_has_stood_for_a_while() {
        let (clock, side) = side();
        let mut contact = side.contact();
        contact.connected();
        contact.lost(&io::Error::other("no permission"));
        clock.advance(Duration::from_secs(5));
        contact.connected();
        clock.advance(Duration::from_secs(4));
        assert_eq!(side.fails_for(), Some(Duration::from_secs(9)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(side.fails_for(), None);
        // It proves to be of no use again: the trouble is still the same.
        contact.lost(&io::Error::other("no permission"));
        assert_eq!(side.fails_for(), Some(Duration::from_secs(10)));
    }

    #[test]
    fn each_error_of_an_outage_is_told_once() {
        let (_, side) = side();
        let mut contact = side.contact();
        for error in ["refused", "refused", "no permission", "refused"] {
            contact.lost(&io::Error::other(error));
        }
        assert_eq!(side.outage().told.len(), 2);
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
