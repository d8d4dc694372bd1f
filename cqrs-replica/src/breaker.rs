//! Keeps the faults of a model from being charged to its messages, and from holding up everything else.
//!
//! A model is paused when its table cannot be written at all (a column or a right is missing), and when
//! its code did not answer for events of [`LIMIT`] instances in a row: each call that hangs costs its
//! lane up to half a minute. The events of a paused model are kept as letters at once and count no
//! attempt. One letter at a time is tried, and when the model no longer fails it, all go on.
//!
//! A message that fails by itself is told from a model that fails by trying the latest letter after the
//! oldest one: if the latest goes on, the oldest has failed alone.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cqrs_core::{CqrsId, InstanceKey};
use metrics::gauge;
use tokio::time::Instant;

/// How many instances' events have to hang in a row.
const LIMIT: usize = 2;

/// The pause between two trials of a table, the first and the longest; and between two calls of code
/// that hangs.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
const HANGING: Duration = Duration::from_mins(1);

/// How often a pause that lasts is logged.
const REMINDER: Duration = Duration::from_mins(1);

/// One model's, shared by all tasks of a worker.
#[derive(Debug)]
pub(crate) struct Breaker {
    cqrs_id: CqrsId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The instances whose events have hung since the last answer.
    hung: Vec<InstanceKey>,
    paused: Option<Paused>,
    /// The letter that has failed where another one did not: what it fails for is its own.
    culprit: Option<i64>,
}

#[derive(Debug)]
struct Paused {
    /// Why, in words.
    error: String,
    since: Instant,
    logged: Instant,
    /// When the next trial is, and the pause after it.
    trial: Instant,
    pause: Duration,
    /// The letter that is tried at present, and whether the model has failed since.
    trying: Option<i64>,
    failed: bool,
    /// The oldest letter, if it was tried last.
    suspect: Option<i64>,
}

impl Breaker {
    pub(crate) fn new(cqrs_id: CqrsId) -> Self {
        Self {
            cqrs_id,
            state: Mutex::default(),
        }
    }

    /// Why an event is not applied now, if it is not: all but the letter that is tried.
    pub(crate) fn holds(&self, letter: Option<i64>) -> Option<String> {
        let state = self.state();
        let paused = state.paused.as_ref()?;
        let is_trial = letter.is_some() && letter == paused.trying;
        (!is_trial).then(|| paused.error.clone())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state().paused.is_some()
    }

    /// The code has answered.
    pub(crate) fn answered(&self) {
        self.state().hung.clear();
    }

    /// The code has not answered. `true`: the model is paused.
    pub(crate) fn hung(&self, key: &InstanceKey) -> bool {
        let mut state = self.state();
        // The same event hangs again when its batch is repeated.
        if !state.hung.contains(key) && state.hung.len() < LIMIT {
            state.hung.push(key.clone());
        }
        if state.hung.len() < LIMIT && state.paused.is_none() {
            return false;
        }
        let error = "its code did not answer several times in a row: see what it waits for";
        self.fail(&mut state, error, HANGING);
        true
    }

    /// The table cannot be written for this letter, or for a new event. `true`: the model is paused;
    /// `false`: the letter has failed by itself.
    pub(crate) fn table_failed(&self, error: &str, letter: Option<i64>) -> bool {
        let mut state = self.state();
        let by_itself = letter.is_some() && letter == state.culprit;
        if !by_itself {
            self.fail(&mut state, error, FIRST);
        }
        !by_itself
    }

    /// How long until a letter is to be tried.
    pub(crate) fn next_trial(&self) -> Option<Duration> {
        let state = self.state();
        let trial = state.paused.as_ref()?.trial;
        Some(trial.saturating_duration_since(Instant::now()))
    }

    /// Chooses the letter to try, of the oldest and the latest one.
    pub(crate) fn choose(&self, oldest: i64, latest: i64) -> i64 {
        let mut state = self.state();
        let Some(paused) = &mut state.paused else {
            return oldest;
        };
        let letter = match paused.suspect {
            Some(suspect) if suspect == oldest => latest,
            _ => oldest,
        };
        paused.trying = Some(letter);
        paused.failed = false;
        letter
    }

    /// The trial is over. `decided`: the letter had to do with its table, or its code. Answers with the
    /// letter that has failed alone, which is to be tried once more, by itself.
    pub(crate) fn tried(&self, decided: bool) -> Option<i64> {
        let mut state = self.state();
        let paused = state.paused.as_mut()?;
        let tried = paused.trying.take();
        if decided && !paused.failed {
            state.culprit = paused.suspect.filter(|suspect| tried != Some(*suspect));
            self.go_on(&mut state);
            return state.culprit;
        }
        if decided {
            paused.suspect = tried.filter(|_| paused.suspect.is_none());
            paused.trial = Instant::now() + paused.pause;
            paused.pause = (paused.pause * 2).min(LONGEST.max(paused.pause));
        }
        if paused.logged.elapsed() >= REMINDER {
            paused.logged = Instant::now();
            tracing::error!(
                cqrs_id = self.cqrs_id.as_str(),
                paused_seconds = paused.since.elapsed().as_secs(),
                error = paused.error,
                "the model is still paused: its events are kept as letters"
            );
        }
        None
    }

    /// Nothing is known of the letter: somebody else holds it or its row, or the database fails. The other
    /// one is next.
    pub(crate) fn passed_over(&self) {
        let mut state = self.state();
        if let Some(paused) = &mut state.paused {
            let tried = paused.trying.take();
            paused.suspect = tried.filter(|_| paused.suspect.is_none());
            paused.trial = Instant::now() + FIRST;
        }
    }

    /// The letter that failed alone was tried by itself.
    pub(crate) fn judged(&self) {
        self.state().culprit = None;
    }

    /// There is no letter to try: the next event is as good as one.
    pub(crate) fn nothing_to_try(&self) {
        self.go_on(&mut self.state());
    }

    fn fail(&self, state: &mut State, error: &str, pause: Duration) {
        if let Some(paused) = &mut state.paused {
            // Said by a trial, or by a call that was under way before.
            paused.failed = true;
            error.clone_into(&mut paused.error);
            return;
        }
        let now = Instant::now();
        state.paused = Some(Paused {
            error: error.to_owned(),
            since: now,
            logged: now,
            trial: now + pause,
            pause,
            trying: None,
            failed: false,
            suspect: None,
        });
        self.gauge(1.0);
        tracing::error!(
            cqrs_id = self.cqrs_id.as_str(),
            error,
            "the model is paused: its events are kept as letters and go on by themselves once this is mended"
        );
    }

    fn go_on(&self, state: &mut State) {
        state.hung.clear();
        if let Some(paused) = state.paused.take() {
            self.gauge(0.0);
            tracing::info!(
                cqrs_id = self.cqrs_id.as_str(),
                paused_seconds = paused.since.elapsed().as_secs(),
                "the model goes on"
            );
        }
    }

    fn gauge(&self, paused: f64) {
        gauge!("cqrs_replica_paused", "cqrs_id" => self.cqrs_id.to_string()).set(paused);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(CqrsId::new("account").unwrap())
    }

    fn key(number: i64) -> InstanceKey {
        InstanceKey::from(number)
    }

    #[tokio::test(start_paused = true)]
    async fn code_that_hangs_twice_is_tried_once_a_minute_until_it_answers() {
        let breaker = breaker();
        assert!(!breaker.hung(&key(1)));
        assert!(!breaker.hung(&key(1)), "the same event");
        assert_eq!(breaker.holds(None), None);
        breaker.answered();
        assert!(!breaker.hung(&key(1)));
        assert!(breaker.hung(&key(2)));
        assert!(breaker.holds(None).is_some() && breaker.holds(Some(7)).is_some());
        assert_eq!(breaker.next_trial(), Some(HANGING));
        tokio::time::advance(HANGING).await;
        assert_eq!(breaker.next_trial(), Some(Duration::ZERO));
        assert_eq!(breaker.choose(7, 9), 7);
        assert!(breaker.holds(None).is_some() && breaker.holds(Some(9)).is_some());
        assert_eq!(breaker.holds(Some(7)), None, "one at a time");
        assert!(breaker.hung(&key(1)));
        assert_eq!(breaker.tried(true), None);
        assert_eq!(breaker.next_trial(), Some(HANGING));
        assert_eq!(breaker.choose(7, 7), 7);
        assert_eq!(breaker.tried(true), None);
        assert!(!breaker.is_paused());
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_is_tried_ever_more_seldom_until_it_takes_a_letter() {
        let breaker = breaker();
        assert!(breaker.table_failed("no table", None));
        let pauses = [1, 1, 2, 4, 5, 5];
        for (at, pause) in pauses.into_iter().enumerate() {
            assert_eq!(breaker.next_trial(), Some(Duration::from_secs(pause)));
            tokio::time::advance(Duration::from_secs(pause)).await;
            let letter = if at % 2 == 0 { 7 } else { 9 };
            assert_eq!(breaker.choose(7, 9), letter);
            assert!(breaker.table_failed("no column", Some(letter)));
            assert_eq!(breaker.tried(true), None);
        }
        assert_eq!(breaker.holds(None).as_deref(), Some("no column"));
        breaker.choose(7, 9);
        assert_eq!(breaker.tried(true), None);
        assert!(!breaker.is_paused());
    }

    #[tokio::test(start_paused = true)]
    async fn a_letter_that_fails_where_another_does_not_has_failed_by_itself() {
        let breaker = breaker();
        assert!(breaker.table_failed("odd", None));
        breaker.choose(7, 9);
        assert!(breaker.table_failed("odd", Some(7)));
        assert_eq!(breaker.tried(true), None);
        assert_eq!(breaker.choose(7, 9), 9);
        assert_eq!(breaker.tried(false), None, "it said nothing of the table");
        assert_eq!(breaker.choose(7, 10), 10);
        assert_eq!(breaker.tried(true), Some(7));
        assert!(!breaker.table_failed("odd", Some(7)));
        assert!(!breaker.is_paused());
        breaker.judged();
        assert!(breaker.table_failed("odd", Some(7)));
    }

    #[test]
    fn a_letter_in_other_hands_makes_way_for_the_other_one_after_a_pause() {
        let breaker = breaker();
        assert!(breaker.table_failed("no such column", None));
        assert_eq!(breaker.choose(1, 9), 1);
        breaker.passed_over();
        assert!(breaker.next_trial().is_some_and(|wait| !wait.is_zero()));
        assert_eq!(breaker.choose(1, 9), 9);
        breaker.passed_over();
        assert_eq!(breaker.choose(1, 9), 1);
        assert!(breaker.is_paused());
    }
}
