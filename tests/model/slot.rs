//! The slot: what may happen to it, and what comes of that.

use stateright::{Model, Property};

use crate::{
    promises::{DUPLICATES_FROM_FAULTS, IN_ORDER, NOTHING_IS_LOST, ONE_AT_A_TIME, Rule},
    relay::{Beating, Fate, Flight, Out, Relay, Settlement, WRITE_TIME},
    table::{Census, Row, Tables},
};

/// The model. How far it goes is bounded by the numbers of heartbeats and faults.
#[derive(Debug)]
pub(crate) struct Slot {
    broken: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    tables: Tables,
    relays: [Relay; 2],
    /// The first deliveries.
    delivered: Vec<u8>,
    duplicate: bool,
    /// Messages of connections that were given up, which may still arrive.
    adrift: Vec<u8>,
    refused: bool,
    /// What happened beside the ordinary, once at most.
    event: Option<Event>,
    lapsed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    Left,
    Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time goes by.
    Tick,
    Beat(usize),
    Answer(usize),
    Hear(usize),
    AgreeLate(usize),
    Load(usize),
    Fetch(usize),
    Retry(usize),
    Write(usize),
    Take(usize, u8),
    Refuse(usize, u8),
    HearOutcome(usize, u8),
    Settled(usize),
    Leave(usize),
    Release(usize),
    Arrive(u8),
    // The faults.
    Kill(usize),
    LoseConnection(usize),
    LoseAnswer(usize),
}

/// Heartbeats of both relays together: enough for a take-over from a relay that comes back.
const BEATS: u8 = 3;

impl Slot {
    pub(crate) fn new() -> Self {
        Self { broken: None }
    }

    pub(crate) fn without(rule: Rule) -> Self {
        Self { broken: Some(rule) }
    }

    fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }
}

impl Model for Slot {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            tables: Tables::new(),
            relays: [Relay::default(), Relay::default()],
            delivered: Vec::new(),
            duplicate: false,
            adrift: Vec::new(),
            refused: false,
            event: None,
            lapsed: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        actions.extend(
            state
                .adrift
                .iter()
                .map(|revision| Action::Arrive(*revision)),
        );
        for (me, relay) in state.relays.iter().enumerate() {
            // What has left a relay goes on without it.
            if matches!(relay.beating, Beating::Sent(_)) {
                actions.push(Action::Answer(me));
            }
            for out in relay.out.iter().filter(|out| out.flight == Flight::Written) {
                actions.push(Action::Take(me, out.revision));
                if !state.refused {
                    actions.push(Action::Refuse(me, out.revision));
                }
            }
            if !relay.settling.is_empty() {
                actions.push(Action::Settled(me));
            }
            if relay.killed {
                continue;
            }
            match relay.beating {
                Beating::Not if state.tables.beats_sent() < BEATS => {
                    actions.push(Action::Beat(me));
                }
                Beating::Answered(..) => actions.push(Action::Hear(me)),
                Beating::Late(_) => actions.push(Action::AgreeLate(me)),
                _ => {}
            }
            actions.extend([
                Action::Load(me),
                Action::Fetch(me),
                Action::Retry(me),
                Action::Write(me),
                Action::Release(me),
            ]);
            actions.extend(
                relay
                    .out
                    .iter()
                    .map(|out| Action::HearOutcome(me, out.revision)),
            );
            // The relays are alike: what happens to one of them need not be tried with the other.
            if me == 0 && state.event.is_none() {
                actions.extend([
                    Action::Leave(me),
                    Action::Kill(me),
                    Action::LoseConnection(me),
                    Action::LoseAnswer(me),
                ]);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        self.step(&mut next, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_IS_LOST, |_, state: &State| {
                (0..)
                    .zip(&state.tables.rows)
                    .all(|(revision, row)| *row != Row::Gone || state.delivered.contains(&revision))
            }),
            Property::always(IN_ORDER, |_, state: &State| {
                (0..)
                    .zip(&state.delivered)
                    .all(|(due, revision)| due == *revision)
            }),
            Property::always(ONE_AT_A_TIME, |_, state: &State| {
                !state.relays.iter().all(Relay::acts)
            }),
            Property::always(DUPLICATES_FROM_FAULTS, |_, state: &State| {
                !state.duplicate || state.lapsed || state.event == Some(Event::Fault)
            }),
            Property::sometimes("all is delivered and settled", |_, state: &State| {
                state.tables.rows == [Row::Gone; 2]
            }),
            Property::sometimes(
                "another one ends what the killed one began",
                |_, state: &State| {
                    state.tables.rows == [Row::Gone; 2]
                        && state.relays[0].killed
                        && state.tables.epoch > 1
                },
            ),
            Property::sometimes(
                "a slot that was given back is served",
                |_, state: &State| {
                    state.event == Some(Event::Left)
                        && state.tables.rows == [Row::Gone; 2]
                        && !state.lapsed
                },
            ),
        ]
    }
}

impl Slot {
    /// Does what `action` says, or answers that it cannot happen now.
    fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Tick => return tick(state),
            Action::Arrive(revision) => {
                let at = state.adrift.iter().position(|adrift| *adrift == revision)?;
                state.adrift.remove(at);
                state.deliver(revision);
            }
            Action::Beat(me) => state.relays[me].beating = Beating::Sent(0),
            Action::Answer(me) => {
                let Beating::Sent(ago) = state.relays[me].beating else {
                    return None;
                };
                state.relays[me].beating = Beating::Answered(ago, state.tables.beat(me));
            }
            Action::Hear(me) => self.hear(state, me)?,
            Action::AgreeLate(me) => {
                let Beating::Late(census) = state.relays[me].beating else {
                    return None;
                };
                self.agree(state, me, &census);
            }
            Action::Load(me) => {
                let relay = &mut state.relays[me];
                let ready = relay.acts() && relay.blocked.is_none() && relay.is_empty();
                if !ready {
                    return None;
                }
                relay.blocked = Some(self.keeps(Rule::LoadBlocked) && state.tables.blocked());
            }
            Action::Fetch(me) => {
                let relay = &mut state.relays[me];
                let before = relay.window.len();
                if relay.held.is_none() || relay.blocked.is_none() || relay.leaving {
                    return None;
                }
                relay.fetch(&state.tables);
                if relay.window.len() == before {
                    return None;
                }
            }
            Action::Retry(me) => {
                let relay = &mut state.relays[me];
                let revision = state
                    .tables
                    .rows
                    .iter()
                    .position(|row| *row == Row::PutOff)?;
                let revision = u8::try_from(revision).ok()?;
                if !relay.works() || relay.blocked != Some(true) || relay.knows(revision) {
                    return None;
                }
                relay.out.push(Out {
                    revision,
                    flight: Flight::Written,
                    forgotten: false,
                });
            }
            Action::Write(me) => self.write(state, me)?,
            Action::Take(me, revision) => {
                let out = state.relays[me].out(revision, Flight::Written)?;
                out.flight = Flight::Taken;
                state.deliver(revision);
            }
            Action::Refuse(me, revision) => {
                state.relays[me].out(revision, Flight::Written)?.flight = Flight::Refused;
                state.refused = true;
            }
            Action::HearOutcome(me, revision) => state.relays[me].hear_outcome(revision)?,
            Action::Settled(me) => self.settled(state, me)?,
            Action::Leave(me) => {
                let relay = &mut state.relays[me];
                relay.held?;
                relay.leaving = true;
                relay.window.clear();
                state.event = Some(Event::Left);
            }
            Action::Release(me) => {
                let relay = &mut state.relays[me];
                // By the session that beats, between two beats.
                let held = relay
                    .held
                    .filter(|_| relay.leaving && relay.beating == Beating::Not)?;
                if self.keeps(Rule::LeaveEmpty) && !relay.is_empty() {
                    return None;
                }
                if state.tables.owner == Some(me) && state.tables.epoch == held {
                    state.tables.owner = None;
                    state.tables.epoch += 1;
                }
                relay.forget();
                relay.held = None;
            }
            Action::Kill(me) => {
                state.event = Some(Event::Fault);
                let relay = &mut state.relays[me];
                relay.killed = true;
                let (beating, out, settling) =
                    (relay.beating, relay.out.clone(), relay.settling.clone());
                *relay = Relay {
                    killed: true,
                    beating,
                    out,
                    settling,
                    ..Relay::default()
                };
            }
            Action::LoseConnection(me) => {
                if state.relays[me].out.is_empty() {
                    return None;
                }
                state.event = Some(Event::Fault);
                for out in std::mem::take(&mut state.relays[me].out) {
                    if out.flight == Flight::Written {
                        state.adrift.push(out.revision);
                    }
                    if !out.forgotten && state.relays[me].blocked == Some(false) {
                        state.relays[me].window.push(out.revision);
                    }
                }
                state.relays[me].window.sort_unstable();
            }
            Action::LoseAnswer(me) => {
                let relay = &mut state.relays[me];
                if relay.settling.is_empty() {
                    return None;
                }
                state.event = Some(Event::Fault);
                self.settled(state, me)?;
                state.relays[me].forget();
            }
        }
        Some(())
    }

    fn hear(&self, state: &mut State, me: usize) -> Option<()> {
        let relay = &mut state.relays[me];
        let Beating::Answered(ago, census) = relay.beating else {
            return None;
        };
        let age = if self.keeps(Rule::CountFromSending) {
            ago
        } else {
            0
        };
        let may_write = relay.may_write.max(WRITE_TIME.saturating_sub(age));
        if self.keeps(Rule::AgreeFirst) {
            self.agree(state, me, &census);
        } else {
            relay.beating = Beating::Late(census);
        }
        state.relays[me].may_write = may_write;
        Some(())
    }

    /// Takes over what a census says, and the slot if it is free.
    fn agree(&self, state: &mut State, me: usize, census: &Census) {
        state.relays[me].beating = Beating::Not;
        state.relays[me].agree(me, census);
        if census.owner.is_none() || (census.owner != Some(me) && census.dead) {
            self.acquire(state, me, census);
        }
    }

    /// `acquire.sql`
    fn acquire(&self, state: &mut State, me: usize, seen: &Census) {
        let tables = &mut state.tables;
        let as_seen = tables.owner.is_none()
            || tables.beats[1 - me].number == seen.other
            || !self.keeps(Rule::BeatAsSeen);
        if tables.epoch == seen.epoch && tables.owner != Some(me) && as_seen {
            tables.owner = Some(me);
            if self.keeps(Rule::NewEpoch) {
                tables.epoch += 1;
            }
            let relay = &mut state.relays[me];
            relay.forget();
            relay.held = Some(state.tables.epoch);
        }
    }

    fn write(&self, state: &mut State, me: usize) -> Option<()> {
        let relay = &mut state.relays[me];
        let busy = !relay.out.is_empty()
            || relay
                .settling
                .iter()
                .any(|settlement| settlement.fate == Fate::PutOff);
        if !relay.works()
            || relay.blocked != Some(false)
            || (busy && self.keeps(Rule::OneRowAtOnce))
        {
            return None;
        }
        let revision = *relay.window.first()?;
        relay.window.remove(0);
        relay.out.push(Out {
            revision,
            flight: Flight::Written,
            forgotten: false,
        });
        if !self.keeps(Rule::DeleteAfterConfirm) {
            relay.settle(revision, Fate::Confirmed);
        }
        Some(())
    }

    /// `settle.sql`
    fn settled(&self, state: &mut State, me: usize) -> Option<()> {
        let relay = &mut state.relays[me];
        if relay.settling.is_empty() {
            return None;
        }
        let Settlement {
            revision,
            fate,
            epoch,
        } = relay.settling.remove(0);
        let held = state.tables.epoch == epoch || !self.keeps(Rule::PutOffUnderEpoch);
        let row = &mut state.tables.rows[usize::from(revision)];
        match (fate, *row) {
            (Fate::Confirmed, _) => {
                *row = Row::Gone;
                relay.blocked = relay.blocked.map(|_| state.tables.blocked());
            }
            (Fate::PutOff, Row::Waiting | Row::PutOff) if held => {
                *row = Row::PutOff;
                relay.blocked = relay.blocked.map(|_| true);
            }
            (Fate::PutOff, _) => {}
        }
        // The answer names what is not held any more.
        if relay
            .held
            .is_some_and(|held| held == epoch && state.tables.epoch != epoch)
        {
            relay.forget();
            relay.held = None;
        }
        Some(())
    }
}

impl State {
    fn deliver(&mut self, revision: u8) {
        if self.delivered.contains(&revision) {
            self.duplicate = true;
        } else {
            self.delivered.push(revision);
        }
    }
}

fn tick(state: &mut State) -> Option<()> {
    let before = state.clone();
    for beat in &mut state.tables.beats {
        beat.lives = beat.lives.saturating_sub(1);
    }
    for relay in &mut state.relays {
        match &mut relay.beating {
            Beating::Sent(ago) | Beating::Answered(ago, _) => {
                *ago = (*ago + 1).min(WRITE_TIME);
            }
            Beating::Not | Beating::Late(_) => {}
        }
        if relay.may_write == 1 {
            state.lapsed = true;
            relay.forget();
        }
        relay.may_write = relay.may_write.saturating_sub(1);
    }
    (*state != before).then_some(())
}
