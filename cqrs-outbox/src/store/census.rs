//! Who is there and who holds what.

use cqrs_core::Slot;
use uuid::Uuid;

/// A relay process: new at each start, never a host or pod name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub Uuid);

/// How often a slot has changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// Who is there and who holds what.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// All relays with a heartbeat, the asker included, in owner order.
    pub relays: Vec<RelayBeat>,
    /// All slots, in order.
    pub leases: Vec<Lease>,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Census {
    /// The heartbeats of those who held these slots, each once.
    pub(crate) fn holders_of<'a>(
        &'a self,
        slots: &'a [(Slot, Epoch)],
    ) -> impl Iterator<Item = &'a RelayBeat> {
        let holds = |owner| {
            self.leases.iter().any(|lease| {
                lease.owner == Some(owner) && slots.contains(&(lease.slot, lease.epoch))
            })
        };
        self.relays.iter().filter(move |relay| holds(relay.owner))
    }
}

/// A relay's heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct RelayBeat {
    /// Whose.
    pub owner: Owner,
    /// Rises with every renewal.
    pub beat: i64,
    /// Whether it had not run out, on the database's clock.
    pub live: bool,
    /// Whether it says that it can do its work.
    pub publishing: bool,
}

/// A slot and its holder.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// The slot.
    pub slot: Slot,
    /// Who holds it, while its heartbeat is live.
    pub owner: Option<Owner>,
    /// How often it has changed hands.
    pub epoch: Epoch,
}
