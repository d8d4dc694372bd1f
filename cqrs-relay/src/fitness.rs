//! Whether this relay can do its whole work.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::outage::FarSide;

/// A relay whose lanes, reader or settler have no connection moves nothing, however well its
/// heartbeat goes.
#[derive(Debug)]
pub(crate) struct Fitness {
    sides: Vec<Arc<FarSide>>,
    /// How long a connection may fail before that counts.
    patience: Duration,
    fit: bool,
    /// Told when a connection works that did not.
    restored: Arc<Notify>,
}

impl Fitness {
    /// Not fit before every connection to these sides has been made.
    pub(crate) const fn new(
        sides: Vec<Arc<FarSide>>,
        patience: Duration,
        restored: Arc<Notify>,
    ) -> Self {
        Self {
            sides,
            patience,
            fit: false,
            restored,
        }
    }

    /// Whether the relay can do its work now.
    pub(crate) fn look(&mut self) -> bool {
        let fails_for = self.sides.iter().filter_map(|side| side.fails_for()).max();
        let fit = fails_for.is_none_or(|fails_for| self.fit && fails_for < self.patience);
        if self.fit && !fit {
            tracing::warn!("this relay cannot do its work; others that can take over its slots");
        } else if fit && !self.fit {
            tracing::info!("this relay can do its work");
        }
        self.fit = fit;
        fit
    }

    /// Returns when a relay that was not fit at the last look may have become so. Cancellation: safe.
    pub(crate) async fn restored(&self) {
        if self.fit {
            std::future::pending::<()>().await;
        }
        loop {
            self.restored.notified().await;
            if self.sides.iter().all(|side| side.fails_for().is_none()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use cqrs_core::{ManualClock, RetryPolicy};

    use super::*;

    #[test]
    fn a_relay_is_fit_until_a_connection_has_failed_for_as_long_as_it_may() {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let restored = Arc::new(Notify::new());
        let retry = RetryPolicy::reconnect(Duration::from_secs(1));
        let side = FarSide::new("broker", Arc::new(clock.clone()), retry, restored.clone());
        let (mut one, mut other) = (side.contact(), side.contact());
        let mut fitness = Fitness::new(vec![side], Duration::from_secs(2), restored);
        one.connected();
        assert!(!fitness.look(), "a lane has no connection yet");
        other.connected();
        assert!(fitness.look());
        clock.advance(Duration::from_mins(1));
        one.lost(&io::Error::other("gone"));
        clock.advance(Duration::from_millis(1999));
        assert!(fitness.look());
        clock.advance(Duration::from_millis(1));
        assert!(!fitness.look());
        one.connected();
        assert!(fitness.look());
    }
}
