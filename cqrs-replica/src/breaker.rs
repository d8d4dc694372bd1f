//! Keeps user code that does not answer from holding up everything else.
//!
//! Each call that hangs costs its lane up to half a minute. After events of [`LIMIT`] instances in a
//! row have hung, the model's code is not called for what comes: the events become letters at once.
//! Of the letters one is tried every [`PAUSE`], and the first answer, be it a failure, ends it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cqrs_core::InstanceKey;
use tokio::time::Instant;

/// How many instances' events have to hang in a row.
const LIMIT: usize = 2;

/// The pause between two trials.
pub(crate) const PAUSE: Duration = Duration::from_mins(1);

/// One model's, shared by all tasks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The instances whose events have hung since the last answer.
    hung: Vec<InstanceKey>,
    /// When a letter is tried next, once nothing else is.
    trial: Option<Instant>,
}

impl Breaker {
    /// Whether the code is called.
    pub(crate) fn lets_through(&self, is_letter: bool) -> bool {
        self.change(|state| match state.trial {
            None => true,
            Some(at) if is_letter && at <= Instant::now() => {
                state.trial = Some(Instant::now() + PAUSE);
                true
            }
            Some(_) => false,
        })
    }

    /// It has answered.
    pub(crate) fn answered(&self) {
        self.change(|state| *state = State::default());
    }

    /// It has not. `true`: from now on it is not called.
    pub(crate) fn hung(&self, key: &InstanceKey) -> bool {
        self.change(|state| {
            // The same event hangs again when its batch is repeated.
            if !state.hung.contains(key) && state.hung.len() < LIMIT {
                state.hung.push(key.clone());
            }
            let opens = state.hung.len() == LIMIT && state.trial.is_none();
            if state.hung.len() == LIMIT {
                state.trial = Some(Instant::now() + PAUSE);
            }
            opens
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: i64) -> InstanceKey {
        InstanceKey::from(number)
    }

    #[tokio::test(start_paused = true)]
    async fn code_that_hangs_twice_is_tried_once_a_minute_until_it_answers() {
        let breaker = Breaker::default();
        assert!(!breaker.hung(&key(1)));
        assert!(!breaker.hung(&key(1)), "the same event");
        assert!(breaker.lets_through(false));
        breaker.answered();
        assert!(!breaker.hung(&key(1)));
        assert!(breaker.hung(&key(2)));
        assert!(!breaker.hung(&key(3)), "it was so before");
        assert!(!breaker.lets_through(false) && !breaker.lets_through(true));
        tokio::time::advance(PAUSE).await;
        assert!(!breaker.lets_through(false), "what was just delivered");
        assert!(breaker.lets_through(true));
        assert!(!breaker.lets_through(true), "one at a time");
        breaker.answered();
        assert!(breaker.lets_through(false) && breaker.lets_through(true));
    }
}
