//! Connections that are lost and made anew, and what is logged about it.
//!
//! A lost connection is nobody's fault and needs no one's help: the task that owns it pauses, longer
//! each time, and goes on with what it was at. All tasks of a worker share one [`Outages`] per side,
//! so that an outage is one line when it begins, one a minute while it lasts and one when it ends,
//! however many tasks feel it. They also tell which lanes can be given messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cqrs_core::{RetryPolicy, StoreError};
use tokio::time::Instant;

use crate::{
    ReplicaSession, ReplicaStore,
    worker::{metrics, task::Task},
};

/// How often a conflict is repeated at once.
const CONFLICTS_AT_ONCE: u32 = 3;

/// How often an outage that lasts is logged.
const REMINDER: Duration = Duration::from_mins(1);

/// An outage that returns sooner is the same one.
const RECURRENCE: Duration = Duration::from_secs(10);

/// After how long without any answer, beside the pause between two signs of life, the database is
/// taken to be away; after how long without a connection all lanes are as good as that.
const AWAY: Duration = Duration::from_secs(2);

/// After how long without a connection a lane is left out while others have one.
const LEFT_OUT: Duration = Duration::from_secs(10);

/// After how long without a sign of life, beside the pause between two, a worker holds nothing any
/// more, even if its lanes could work: others take its messages to be gone soon after.
const UNHEARD: Duration = Duration::from_secs(20);

/// The other end of a worker's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Database,
    Broker,
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Broker => "broker",
        }
    }
}

/// Which tasks are without one side at present.
#[derive(Debug)]
pub(crate) struct Outages {
    side: Side,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    affected: BTreeSet<Task>,
    began: Option<Instant>,
    logged: Option<Instant>,
    ended: Option<Instant>,
    /// When conflicts were last logged.
    conflicts_logged: Option<Instant>,
    /// When the other side last answered anyone, and when it answered a sign of life.
    answered: Instant,
    heard: Instant,
    /// Whether it was found to be away since, and when it was back.
    is_away: bool,
    back: Instant,
    /// Who has no connection, and since when.
    cut_off: BTreeMap<Task, Instant>,
}

impl Outages {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            state: Mutex::new(State::new(Instant::now())),
        }
    }

    /// The lanes whose messages would be applied: none while the database is away. `heartbeat` is
    /// the pause between two signs of life.
    pub(crate) fn usable_lanes(&self, lanes: u16, heartbeat: Duration) -> Vec<u16> {
        self.state().usable(lanes, heartbeat, Instant::now())
    }

    fn answered(&self, task: Task) {
        self.state().answered(task, Instant::now());
    }

    fn cut_off(&self, task: Task) {
        self.state()
            .cut_off
            .entry(task)
            .or_insert_with(Instant::now);
    }

    fn connected(&self, task: Task) {
        self.state().cut_off.remove(&task);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task's call failed for the sake of the connection.
    pub(crate) fn failed(&self, task: Task, error: &(dyn Error + 'static)) {
        let side = self.side.as_str();
        let due = self.state().failed(task, Instant::now());
        let error = chain(error);
        if due {
            tracing::error!(side, %task, error, "connection lost, connecting again until it works");
        } else {
            tracing::debug!(side, %task, error, "still no connection");
        }
    }

    /// A task's call lost against other transactions several times in a row: the connection is sound.
    fn conflicted(&self, task: Task, error: &(dyn Error + 'static)) {
        let due = self.state().conflicted(Instant::now());
        let error = chain(error);
        if due {
            tracing::warn!(%task, error, "other transactions are in the way, trying again until it goes through");
        } else {
            tracing::debug!(%task, error, "still in the way");
        }
    }

    /// A task's call succeeded after it had failed.
    pub(crate) fn recovered(&self, task: Task) {
        metrics::reconnected(self.side);
        let mut state = self.state();
        if let Some(lasted) = state.recovered(task, Instant::now()) {
            drop(state);
            let after_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(side = self.side.as_str(), after_ms, "connected again");
        }
    }
}

impl State {
    const fn new(now: Instant) -> Self {
        Self {
            affected: BTreeSet::new(),
            began: None,
            logged: None,
            ended: None,
            conflicts_logged: None,
            answered: now,
            heard: now,
            is_away: false,
            back: now,
            cut_off: BTreeMap::new(),
        }
    }

    fn answered(&mut self, task: Task, now: Instant) {
        self.answered = now;
        if matches!(task, Task::Start | Task::Heartbeat) {
            self.heard = now;
        }
        if self.is_away {
            self.is_away = false;
            self.back = now;
        }
    }

    fn usable(&mut self, lanes: u16, heartbeat: Duration, now: Instant) -> Vec<u16> {
        if now - self.answered >= AWAY + heartbeat {
            self.is_away = true;
        }
        if self.is_away || now - self.heard >= UNHEARD + heartbeat {
            return Vec::new();
        }
        // After an outage each lane gets its time to connect.
        let without = |lane: &u16| {
            let since = self.cut_off.get(&Task::Lane(*lane));
            since.map_or(Duration::ZERO, |since| now - (*since).max(self.back))
        };
        if (0..lanes).all(|lane| without(&lane) >= AWAY) {
            return Vec::new();
        }
        (0..lanes).filter(|lane| without(lane) < LEFT_OUT).collect()
    }

    /// Whether to log it.
    fn conflicted(&mut self, now: Instant) -> bool {
        let logged = self.conflicts_logged;
        let due = logged.is_none_or(|logged| now - logged >= REMINDER);
        if due {
            self.conflicts_logged = Some(now);
        }
        due
    }

    /// Whether to log it.
    fn failed(&mut self, task: Task, now: Instant) -> bool {
        let first = self.affected.is_empty();
        self.affected.insert(task);
        let within = |then: Option<Instant>, limit| then.is_some_and(|then| now - then < limit);
        if first && !within(self.ended, RECURRENCE) {
            self.began = Some(now);
            self.logged = None;
        }
        let due = !within(self.logged, REMINDER);
        if due {
            self.logged = Some(now);
        }
        due
    }

    /// How long it lasted, when this was the last task to recover.
    fn recovered(&mut self, task: Task, now: Instant) -> Option<Duration> {
        if !self.affected.remove(&task) || !self.affected.is_empty() {
            return None;
        }
        self.ended = Some(now);
        self.began.map(|began| now - began)
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).join(": ")
}

/// An error and its causes, without those that repeat the end of the one before: some drivers print
/// their sources as well.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let all = std::iter::successors(Some(error), |error| (*error).source());
    all.fold(Vec::new(), |mut causes: Vec<String>, error| {
        let text = error.to_string();
        if !causes.last().is_some_and(|last| last.ends_with(&text)) {
            causes.push(text);
        }
        causes
    })
}

/// A task's connection to the database, made when needed and anew when lost.
pub(crate) struct SupervisedSession<S: ReplicaStore> {
    store: S,
    session: Option<S::Session>,
    task: Task,
    outages: Arc<Outages>,
    retry: RetryPolicy,
    failures: u32,
    conflicts: u32,
}

impl<S: ReplicaStore> SupervisedSession<S> {
    pub(crate) const fn new(
        store: S,
        task: Task,
        outages: Arc<Outages>,
        retry: RetryPolicy,
    ) -> Self {
        Self {
            store,
            session: None,
            task,
            outages,
            retry,
            failures: 0,
            conflicts: 0,
        }
    }

    /// The connection; without one it tries until there is.
    ///
    /// Cancellation: safe.
    pub(crate) async fn get(&mut self) -> &mut S::Session {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await,
        };
        self.session.insert(session)
    }

    async fn connect(&mut self) -> S::Session {
        loop {
            match self.store.session().await {
                Ok(session) => {
                    self.outages.connected(self.task);
                    return session;
                }
                Err(error) => {
                    self.outages.cut_off(self.task);
                    self.failed(error).await;
                }
            }
        }
    }

    /// Gives the connection up: a call on it was cut short.
    pub(crate) fn reset(&mut self) {
        self.session = None;
    }

    /// See [`ReplicaSession::has_woken`].
    pub(crate) fn has_woken(&mut self) -> bool {
        self.session.as_mut().is_some_and(ReplicaSession::has_woken)
    }

    /// A call succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.outages.answered(self.task);
        self.conflicts = 0;
        if self.failures > 0 {
            self.failures = 0;
            self.outages.recovered(self.task);
        }
    }

    /// A call failed: answers when it is time to try again.
    ///
    /// Cancellation: safe; the pause is cut short.
    pub(crate) async fn failed(&mut self, error: StoreError) {
        let failures = if let StoreError::Conflict(_) = error {
            metrics::conflicts();
            self.conflicts += 1;
            if self.conflicts <= CONFLICTS_AT_ONCE {
                tracing::debug!(task = %self.task, error = chain(&error), "trying again at once");
                return;
            }
            self.outages.conflicted(self.task, &error);
            self.conflicts - CONFLICTS_AT_ONCE
        } else {
            self.session = None;
            self.failures += 1;
            self.outages.failed(self.task, &error);
            self.failures
        };
        // An error may hold what is not Sync; it must not live over the pause.
        drop(error);
        let pause = self.retry.delay(failures).unwrap_or(self.retry.max);
        tokio::time::sleep(pause).await;
    }

    /// Whether the last call failed, and how often in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Ends the connection in good order.
    pub(crate) async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_line_at_its_start_and_one_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::new(start);
        assert!(state.failed(Task::Lane(0), at(0)));
        let lines = (1..600).filter(|second| {
            let task = if second % 2 == 0 {
                Task::Lane(1)
            } else {
                Task::Heartbeat
            };
            state.failed(task, at(*second))
        });
        assert_eq!(lines.count(), 9);
        assert_eq!(state.recovered(Task::Lane(0), at(600)), None);
        assert_eq!(state.recovered(Task::Lane(1), at(601)), None);
        let lasted = state.recovered(Task::Heartbeat, at(602));
        assert_eq!(lasted, Some(Duration::from_secs(602)));
    }

    #[test]
    fn conflicts_are_one_line_a_minute_and_no_outage() {
        let start = Instant::now();
        let mut state = State::new(start);
        let lines = (0..600).filter(|second| {
            let now = start + Duration::from_secs(*second);
            state.conflicted(now)
        });
        assert_eq!(lines.count(), 10);
        assert!(state.affected.is_empty() && state.began.is_none());
    }

    #[test]
    fn lanes_are_usable_while_the_database_answers_and_they_are_connected() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::new(start);
        let beat = Duration::from_secs(1);
        assert_eq!(state.usable(2, beat, at(2)), [0, 1]);
        assert!(state.usable(2, beat, at(3)).is_empty(), "no answer for 3 s");
        state.cut_off.insert(Task::Lane(1), at(1));
        state.answered(Task::Heartbeat, at(60));
        assert_eq!(state.usable(2, beat, at(60)), [0, 1], "time to connect");
        (61..70).for_each(|second| state.answered(Task::Heartbeat, at(second)));
        assert_eq!(state.usable(2, beat, at(69)), [0, 1]);
        state.answered(Task::Lane(0), at(70));
        assert_eq!(state.usable(2, beat, at(70)), [0], "one is left out");
        state.cut_off.insert(Task::Lane(0), at(70));
        state.answered(Task::Heartbeat, at(72));
        assert!(state.usable(2, beat, at(72)).is_empty(), "all are cut off");
        state.cut_off.remove(&Task::Lane(0));
        assert_eq!(state.usable(2, beat, at(72)), [0]);
        state.cut_off.clear();
        (73..94).for_each(|second| state.answered(Task::Lane(0), at(second)));
        assert_eq!(state.usable(2, beat, at(92)), [0, 1]);
        assert!(state.usable(2, beat, at(93)).is_empty(), "no sign of life");
    }

    #[test]
    fn a_connection_that_flaps_is_one_outage() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::new(start);
        let lines = (0..30).filter(|turn| {
            let due = state.failed(Task::Receiver, at(turn * 2));
            state.recovered(Task::Receiver, at(turn * 2 + 1));
            due
        });
        assert_eq!(lines.count(), 1);
        assert!(
            state.failed(Task::Receiver, at(500)),
            "much later it is a new one"
        );
    }
}
