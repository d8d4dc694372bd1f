//! Which relays are alive.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use cqrs_outbox::{Census, Owner};

/// What was seen of the heartbeats of others.
///
/// A peer is dead when its heartbeat has run out on the database's clock, or when it has not
/// changed for one lease on our own monotonic clock: a wall clock that is set back keeps nobody
/// alive.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    seen: HashMap<Owner, Sighting>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    beat: i64,
    since: Instant,
}

/// The living, and whether one of them seems to falter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Living {
    /// In owner order, the asker included.
    pub(crate) owners: Vec<Owner>,
    /// Those of them that can do their work, in owner order.
    pub(crate) publishing: Vec<Owner>,
    /// Whether a living peer's heartbeat was the same as in the look before.
    pub(crate) falters: bool,
}

impl Peers {
    /// Takes note of a census that came at `now`.
    pub(crate) fn observe(
        &mut self,
        me: Owner,
        census: &Census,
        lease: Duration,
        now: Instant,
    ) -> Living {
        let mut seen = HashMap::with_capacity(census.relays.len());
        let mut living = Living {
            owners: vec![me],
            publishing: Vec::new(),
            falters: false,
        };
        let own = census.relays.iter().find(|relay| relay.owner == me);
        if own.is_some_and(|relay| relay.publishing) {
            living.publishing.push(me);
        }
        for relay in census.relays.iter().filter(|relay| relay.owner != me) {
            let before = self
                .seen
                .get(&relay.owner)
                .filter(|before| before.beat == relay.beat);
            let sighting = before.copied().unwrap_or(Sighting {
                beat: relay.beat,
                since: now,
            });
            seen.insert(relay.owner, sighting);
            if relay.live && now.saturating_duration_since(sighting.since) < lease {
                living.owners.push(relay.owner);
                if relay.publishing {
                    living.publishing.push(relay.owner);
                }
                living.falters |= before.is_some();
            }
        }
        self.seen = seen;
        living.owners.sort_unstable_by_key(|owner| owner.0);
        living.publishing.sort_unstable_by_key(|owner| owner.0);
        living
    }
}

#[cfg(test)]
mod tests {
    use cqrs_outbox::RelayBeat;
    use uuid::Uuid;

    use super::*;

    const ME: Owner = Owner(Uuid::from_u128(1));
    const PEER: Owner = Owner(Uuid::from_u128(2));
    const LEASE: Duration = Duration::from_secs(2);

    fn census(beat: i64, live: bool) -> Census {
        let relays = vec![RelayBeat {
            owner: PEER,
            beat,
            live,
            publishing: true,
        }];
        Census {
            relays,
            leases: Vec::new(),
        }
    }

    #[test]
    fn a_peer_is_dead_once_its_beat_runs_out_on_the_databases_clock() {
        let mut peers = Peers::default();
        let now = Instant::now();
        assert_eq!(
            peers.observe(ME, &census(1, true), LEASE, now).owners,
            [ME, PEER]
        );
        assert_eq!(
            peers.observe(ME, &census(1, false), LEASE, now).owners,
            [ME]
        );
    }

    #[test]
    fn a_peer_is_dead_once_its_beat_stands_still_for_a_lease_on_our_clock() {
        let mut peers = Peers::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!peers.observe(ME, &census(1, true), LEASE, start).falters);
        let look = peers.observe(ME, &census(1, true), LEASE, at(1999));
        assert!(look.falters && look.owners.len() == 2);
        assert_eq!(
            peers.observe(ME, &census(1, true), LEASE, at(2000)).owners,
            [ME]
        );
        assert_eq!(
            peers.observe(ME, &census(2, true), LEASE, at(2001)).owners,
            [ME, PEER]
        );
    }
}
