//! How long and how often, unless a bus says otherwise.

use std::time::Duration;

use crate::RetryPolicy;

/// How long a command or a query may take, unless its bus says otherwise.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// For statements that stand in each other's way: soon again, with much jitter, and not for long.
pub(super) fn conflicts() -> RetryPolicy {
    RetryPolicy {
        initial: Duration::from_millis(10),
        max: Duration::from_secs(1),
        jitter: 0.5,
        max_attempts: Some(5),
        ..RetryPolicy::default()
    }
}
