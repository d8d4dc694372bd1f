//! What is promised of a slot, and the rules that are there for it.

pub(crate) const NOTHING_IS_LOST: &str = "what left the outbox has reached the broker";
pub(crate) const IN_ORDER: &str = "first deliveries come in the order of revisions";
pub(crate) const ONE_AT_A_TIME: &str = "one relay at a time may write";
pub(crate) const DUPLICATES_FROM_FAULTS: &str = "without a fault nothing is sent twice";
/// What the relay and its statements keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A row is deleted when the broker has confirmed it, not when it was written.
    DeleteAfterConfirm,
    /// The next row of an instance goes when the one before has been decided.
    OneRowAtOnce,
    /// Who takes a slot asks for its blocked instances before it sends.
    LoadBlocked,
    /// A row is put off only by who holds its slot, under the epoch of the holding.
    PutOffUnderEpoch,
    /// Each holding has an epoch of its own.
    NewEpoch,
    /// A slot is taken only from a holder whose heartbeat is still the one that was judged.
    BeatAsSeen,
    /// The time to write counts from the sending of a heartbeat.
    CountFromSending,
    /// What is held is agreed with the census before the time to write is renewed.
    AgreeFirst,
    /// A slot is given back when nothing of it is on its way.
    LeaveEmpty,
}
