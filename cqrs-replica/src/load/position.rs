//! How far a load has come, whatever order its batches end in.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The lines that are not done with.
#[derive(Debug)]
pub(super) struct Position(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The first lines of each lane's batches, in order.
    lanes: Vec<VecDeque<u64>>,
    /// The line that is read next.
    next: u64,
}

impl Position {
    pub(super) fn new(lanes: usize) -> Self {
        Self(Mutex::new(State {
            lanes: vec![VecDeque::new(); lanes],
            next: 1,
        }))
    }

    /// A batch of a lane begins with this line.
    pub(super) fn begin(&self, lane: usize, first: u64) {
        self.state().lanes[lane].push_back(first);
    }

    /// The lane has applied its first batch.
    pub(super) fn end(&self, lane: usize) {
        self.state().lanes[lane].pop_front();
    }

    /// The lines before this one belong to a batch, or need none.
    pub(super) fn read(&self, next: u64) {
        self.state().next = next;
    }

    /// The first line that is not done with.
    pub(super) fn next(&self) -> u64 {
        let state = self.state();
        let firsts = state.lanes.iter().filter_map(|lane| lane.front());
        firsts.copied().min().unwrap_or(state.next).min(state.next)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_lane_says_where_to_go_on() {
        let position = Position::new(2);
        assert_eq!(position.next(), 1);
        position.begin(0, 2);
        position.begin(1, 3);
        position.begin(0, 9);
        position.read(12);
        position.end(0);
        assert_eq!(position.next(), 3);
        position.end(1);
        assert_eq!(position.next(), 9);
        position.end(0);
        assert_eq!(position.next(), 12);
    }
}
