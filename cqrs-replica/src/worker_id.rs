//! Who this process is.

use cqrs_core::Clock;
use uuid::{NoContext, Timestamp, Uuid};

/// A new identity, for one start of one worker.
#[must_use]
pub fn new_worker_id(clock: &dyn Clock) -> Uuid {
    let now = clock.now();
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        now.timestamp_subsec_nanos(),
    ))
}
