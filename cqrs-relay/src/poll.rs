//! When to look into the outbox again.

use std::time::Duration;

use tokio::time::Instant;

/// The pause after a look that found something, but not all it could carry.
const SHORT: Duration = Duration::from_millis(2);

/// Looks again at once while full batches come, soon while rows come at all, then ever more seldom.
#[derive(Debug)]
pub(crate) struct Poll {
    longest: Duration,
    pause: Duration,
    next: Option<Instant>,
}

impl Poll {
    pub(crate) const fn new(longest: Duration) -> Self {
        Self {
            longest,
            pause: Duration::ZERO,
            next: None,
        }
    }

    /// Look as soon as possible.
    pub(crate) const fn hurry(&mut self) {
        self.pause = Duration::ZERO;
        self.next = None;
    }

    /// A look brought so many rows, and whether there may be more.
    pub(crate) fn found(&mut self, rows: usize, more: bool, now: Instant) {
        self.pause = if more {
            Duration::ZERO
        } else if rows > 0 {
            SHORT.min(self.longest)
        } else {
            (self.pause * 2).clamp(SHORT.min(self.longest), self.longest)
        };
        self.next = Some(now + self.pause);
    }

    /// Whether it is time.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// When it is time, unless it is already.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_batches_at_once_some_rows_soon_none_ever_more_seldom() {
        let mut poll = Poll::new(Duration::from_millis(10));
        let now = Instant::now();
        assert!(poll.is_due(now));
        let mut pause = |rows| {
            poll.found(rows, rows == 5, now);
            poll.next().map(|next| (next - now).as_millis())
        };
        assert_eq!(pause(5), Some(0));
        assert_eq!(pause(4), Some(2));
        assert_eq!(
            [pause(0), pause(0), pause(0), pause(0)],
            [4, 8, 10, 10].map(Some)
        );
        assert_eq!(pause(1), Some(2));
        poll.hurry();
        assert!(poll.is_due(now));
    }
}
