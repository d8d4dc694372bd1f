//! How an outbox is doing: `cqrs-relay status`.

use std::{collections::BTreeMap, fmt};

use cqrs_core::{SLOTS, StoreError};
use cqrs_outbox::{Backlog, Counted, OutboxSession, OutboxStore};
use serde::Serialize;

/// The state of an outbox. `Display` is for people, `Serialize` for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Rows to send, counted up to 100,000.
    pub backlog: u64,
    /// How far that number can be relied on.
    pub backlog_is: BacklogIs,
    /// Those of them that wait for a retry.
    pub retrying: u64,
    /// How long the oldest has been waiting.
    pub oldest_seconds: Option<f64>,
    /// Dead rows that are neither retried nor superseded.
    pub dead: u64,
    /// All relays with a heartbeat.
    pub relays: Vec<RelayStatus>,
    /// Slots that no living relay holds.
    pub free_slots: usize,
    /// Slots that `cqrs_relay_lease` lacks. The next relay that looks adds them.
    pub missing_slots: usize,
}

/// How far a number can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BacklogIs {
    /// All were counted.
    Exact,
    /// There are more.
    AtLeast,
    /// What the database's statistics say: counting took too long.
    Estimated,
}

/// A relay and its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Its identity, new at each start.
    pub owner: String,
    /// Whether its heartbeat has not run out.
    pub live: bool,
    /// Whether it can do its work: connections to the database and the broker that it can use.
    pub publishing: bool,
    /// The numbers of its slots.
    pub slots: Vec<u16>,
}

/// Looks. Changes nothing, renews no heartbeat.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn status<S: OutboxStore>(store: &S) -> Result<Status, StoreError> {
    let mut session = store.session().await?;
    let backlog = session.backlog().await?;
    session.close().await;
    Ok(Status::from(backlog))
}

impl From<Backlog> for Status {
    fn from(backlog: Backlog) -> Self {
        let mut slots: BTreeMap<_, Vec<u16>> = BTreeMap::new();
        for lease in &backlog.census.leases {
            if let Some(owner) = lease.owner {
                slots.entry(owner.0).or_default().push(lease.slot.number());
            }
        }
        let relays: Vec<_> = backlog
            .census
            .relays
            .iter()
            .map(|relay| RelayStatus {
                owner: relay.owner.0.to_string(),
                live: relay.live,
                publishing: relay.publishing,
                slots: slots.remove(&relay.owner.0).unwrap_or_default(),
            })
            .collect();
        let held = |relay: &RelayStatus| if relay.live { relay.slots.len() } else { 0 };
        Self {
            backlog: backlog.rows,
            backlog_is: match backlog.counted {
                Counted::Exactly => BacklogIs::Exact,
                Counted::AtLeast => BacklogIs::AtLeast,
                _ => BacklogIs::Estimated,
            },
            retrying: backlog.retrying,
            oldest_seconds: backlog.oldest.map(|age| age.as_secs_f64()),
            dead: backlog.dead,
            free_slots: usize::from(SLOTS).saturating_sub(relays.iter().map(held).sum()),
            missing_slots: usize::from(SLOTS).saturating_sub(backlog.census.leases.len()),
            relays,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = match self.backlog_is {
            BacklogIs::Exact => "",
            BacklogIs::AtLeast => "more than ",
            BacklogIs::Estimated => "about ",
        };
        write!(f, "backlog  {about}{} rows", self.backlog)?;
        if self.backlog_is == BacklogIs::Estimated {
            write!(f, " by the statistics, since counting took too long")?;
        }
        if let Some(oldest) = self.oldest_seconds {
            write!(f, ", the oldest has waited {oldest:.1} s")?;
        }
        if self.retrying > 0 {
            write!(f, ", {} wait for a retry", self.retrying)?;
        }
        writeln!(f)?;
        writeln!(f, "dead     {} rows", self.dead)?;
        writeln!(
            f,
            "leases   {} of 64 slots are held by nobody alive",
            self.free_slots
        )?;
        if self.missing_slots > 0 {
            writeln!(
                f,
                "leases   {} of 64 slots are missing in cqrs_relay_lease; a relay that runs adds them",
                self.missing_slots
            )?;
        }
        for relay in &self.relays {
            let state = match (relay.live, relay.publishing) {
                (true, true) => "alive",
                (true, false) => "alive, cannot publish",
                (false, _) => "gone",
            };
            writeln!(
                f,
                "relay    {}  {state}, {} slots",
                relay.owner,
                relay.slots.len()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cqrs_core::Slot;
    use cqrs_outbox::{Census, Epoch, Lease, Owner, RelayBeat};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn slots_of_the_dead_count_as_free() {
        let owner = |n| Owner(Uuid::from_u128(n));
        let lease = |slot: Slot| Lease {
            slot,
            owner: [Some(owner(1)), Some(owner(2)), None][usize::from(slot.number()) % 3],
            epoch: Epoch(1),
        };
        let relays = vec![
            RelayBeat {
                owner: owner(1),
                beat: 1,
                live: true,
                publishing: false,
            },
            RelayBeat {
                owner: owner(2),
                beat: 1,
                live: false,
                publishing: true,
            },
        ];
        let mut backlog = Backlog {
            rows: 3,
            counted: Counted::Exactly,
            retrying: 1,
            oldest: Some(Duration::from_millis(1500)),
            dead: 2,
            census: Census {
                relays,
                leases: Slot::all().map(lease).collect(),
            },
        };
        let status = Status::from(backlog.clone());
        assert_eq!(status.free_slots, 42);
        let text = status.to_string();
        assert!(
            text.starts_with("backlog  3 rows, the oldest has waited 1.5 s, 1 wait"),
            "{text}"
        );
        assert!(text.contains("alive, cannot publish, 22 slots"), "{text}");
        backlog.counted = Counted::AtLeast;
        let text = Status::from(backlog.clone()).to_string();
        assert!(text.starts_with("backlog  more than 3 rows, the"), "{text}");
        backlog.counted = Counted::About;
        let text = Status::from(backlog).to_string();
        assert!(text.starts_with("backlog  about 3 rows by the"), "{text}");
    }
}
