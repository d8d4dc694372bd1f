//! Stopping in two phases.

use tokio_util::sync::CancellationToken;

/// Tells a relay or a worker to stop. Clones are one and the same; signals are the binary's
/// business.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take nothing new, finish what is in flight, give back what is held, end.
    pub drain: CancellationToken,
    /// End now. What is in flight is sent or delivered again.
    pub stop: CancellationToken,
}

impl Shutdown {
    /// Two tokens that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
