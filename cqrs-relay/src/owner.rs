//! Who this process is.

use cqrs_core::Clock;
use cqrs_outbox::Owner;
use uuid::{NoContext, Timestamp, Uuid};

/// A new identity, for one start of one process.
#[must_use]
pub fn new_owner(clock: &dyn Clock) -> Owner {
    let now = clock.now();
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Owner(Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        now.timestamp_subsec_nanos(),
    )))
}
