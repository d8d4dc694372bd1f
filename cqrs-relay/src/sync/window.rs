//! The rows that are in the outbox and not sent yet.

use std::time::Duration;

use tokio::time::Instant;

/// How many rows may be unsent, and which are. Asked for only when there is no room: a wait grows
/// while nothing is sent.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    unsent: Vec<i64>,
    pause: Duration,
    stuck_since: Option<Instant>,
    told: bool,
}

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);
/// After how long of no progress people are told.
const PATIENCE: Duration = Duration::from_secs(5);

impl Window {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            unsent: Vec::new(),
            pause: SHORTEST,
            stuck_since: None,
            told: false,
        }
    }

    pub(super) fn has_room(&self, rows: usize) -> bool {
        self.unsent.len() + rows <= self.limit
    }

    pub(super) fn add(&mut self, ids: Vec<i64>) {
        self.unsent.extend(ids);
    }

    pub(super) fn unsent(&self) -> &[i64] {
        &self.unsent
    }

    /// Takes in which are still unsent, and answers those that are not any more.
    pub(super) fn update(&mut self, still: &[i64], now: Instant) -> Vec<i64> {
        let still: std::collections::HashSet<i64> = still.iter().copied().collect();
        let (unsent, left) = self.unsent.iter().partition(|id| still.contains(id));
        self.unsent = unsent;
        if Vec::is_empty(&left) {
            self.pause = (self.pause * 2).min(LONGEST);
            self.stuck_since.get_or_insert(now);
        } else {
            self.pause = SHORTEST;
            self.stuck_since = None;
            self.told = false;
        }
        left
    }

    /// How long to wait before the next look.
    pub(super) const fn pause(&self) -> Duration {
        self.pause
    }

    /// Whether it is time to say, once, that nothing is being sent.
    pub(super) fn is_stuck(&mut self, now: Instant) -> bool {
        let stuck = self
            .stuck_since
            .is_some_and(|since| now.duration_since(since) >= PATIENCE);
        stuck && !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_sent_for_a_while_is_told_once() {
        let mut window = Window::new(3);
        window.add(vec![1, 2]);
        assert!(window.has_room(1) && !window.has_room(2));
        let now = Instant::now();
        assert_eq!(window.update(&[1, 2], now), Vec::<i64>::new());
        assert!(!window.is_stuck(now));
        assert!(window.is_stuck(now + PATIENCE));
        assert!(!window.is_stuck(now + PATIENCE));
        assert_eq!(window.update(&[2], now), [1]);
        assert!(window.has_room(2));
    }
}
