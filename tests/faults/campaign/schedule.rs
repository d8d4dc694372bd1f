//! Which faults there are when, all of it drawn from the seed.

use std::time::Duration;

use cqrs_tests::link::Condition;

use super::{
    faults::{BrokerFault, DatabaseFault, Far, Fault, ProcessFault},
    world::Side,
};

/// What is done at one time: one to three faults, each after a while and for a while.
pub(super) struct Round {
    pub(super) faults: Vec<(Fault, Duration, Duration)>,
}

pub(super) struct Schedule {
    chance: fastrand::Rng,
    pub(super) relays: usize,
    pub(super) workers: usize,
    /// Whether a queue may be deleted, whose messages are lost.
    lossy: bool,
}

impl Schedule {
    pub(super) fn new(seed: u64, lossy: bool) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        Self {
            relays: chance.usize(1..=3),
            workers: chance.usize(1..=3),
            chance,
            lossy,
        }
    }

    pub(super) fn round(&mut self) -> Round {
        let mut faults: Vec<(Fault, Duration, Duration)> = Vec::new();
        for _ in 0..self.chance.u8(1..=3) {
            let fault = self.fault();
            if faults.iter().all(|(other, _, _)| !fault.meets(other)) {
                let after = Duration::from_millis(self.chance.u64(..3_000));
                let lasting = Duration::from_millis(self.chance.u64(1_000..7_000));
                faults.push((fault, after, lasting));
            }
        }
        Round { faults }
    }

    fn fault(&mut self) -> Fault {
        let chance = &mut self.chance;
        let node = chance.usize(..self.relays + self.workers);
        let side = [Side::Master, Side::Replica][chance.usize(..2)];
        match chance.u8(..16) {
            0..3 => Fault::Process(node, ProcessFault::Killed),
            3..5 => Fault::Process(node, ProcessFault::Stopped),
            5..9 => {
                let far = [Far::Database, Far::Broker][chance.usize(..2)];
                let condition = [
                    Condition::Cut,
                    Condition::HalfOpen,
                    Condition::Delayed(Duration::from_millis(200)),
                    Condition::Slow(10_000),
                    Condition::Resetting(chance.usize(1_000..50_000)),
                ];
                Fault::Link(node, far, condition[chance.usize(..condition.len())])
            }
            9..12 => {
                let kinds = [
                    BrokerFault::Restarted,
                    BrokerFault::Killed,
                    BrokerFault::Paused,
                    BrokerFault::Alarm,
                    BrokerFault::ConnectionsClosed,
                    BrokerFault::QueueDeleted,
                ];
                let kinds = &kinds[..kinds.len() - usize::from(!self.lossy)];
                Fault::Broker(kinds[chance.usize(..kinds.len())])
            }
            12 => Fault::AsynchronousCommit,
            _ => {
                let kinds = [
                    DatabaseFault::Restarted,
                    DatabaseFault::Killed,
                    DatabaseFault::BackendsTerminated,
                    DatabaseFault::SlotsTaken,
                    DatabaseFault::Locked,
                    DatabaseFault::LockedAside,
                    DatabaseFault::SnapshotHeld,
                ];
                Fault::Database(side, kinds[chance.usize(..kinds.len())])
            }
        }
    }
}
