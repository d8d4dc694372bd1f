//! What became of an item, as its instance, its letter and its answer remember it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs_core::{Event, Signal};

use super::{batch::Batch, instance::Instance, item::Item};
use crate::{
    Applied, FailedAttempt, LetterState, Model, ReplicaStore, Retry, SkipReason, WaitReason,
    letter::{Fault, OtherLetter, Reason, TakenLetter, Then, Verdict, fingerprint, waited_for},
    retrying, rules,
    table::TablePlan,
};

/// After how long a message is tried again that was set aside: as long again as it has been one.
pub(super) const ASIDE: Duration = Duration::from_secs(5);
const LONGEST_ASIDE: Duration = Duration::from_mins(1);

/// The pauses between looks at a letter that waits for a row which nobody announces. One that is
/// announced is looked at too, seldom: it may come in other ways, or under another name.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// The longest pause between two looks at a letter that waits behind another one.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

impl<S: ReplicaStore> Batch<'_, S> {
    /// The item has taken effect.
    pub(super) fn applied(&mut self, at: usize, item: &Item<'_>, gap: u64, expired: bool) {
        self.slots[at].answer = Some(Applied::Applied { gap, expired });
        let (Some(place), Some(event)) = (self.slots[at].instance, item.event()) else {
            return;
        };
        let facts = item.facts(event);
        let instance = &mut self.instances[place];
        instance.known = Some(rules::after(instance.known.as_ref(), &facts));
        instance.changed = true;
        if let Some(own) = item.letter() {
            instance.others.retain(|letter| letter.id != Some(own.id));
        }
    }

    /// A table's row holds this item's state: letters up to its revision have lost their worth.
    pub(super) fn supersedes(&mut self, at: usize, event: &Event) {
        let Some(place) = self.slots[at].instance else {
            return;
        };
        let others = &mut self.instances[place].others;
        let before = others.len();
        others.retain(|letter| {
            letter
                .revision
                .is_some_and(|revision| revision > event.revision.0)
        });
        if others.len() < before {
            self.superseded.push((place, event.revision.0));
        }
    }

    /// The row of an item is written or deleted: those that it was in the way of may come, or go.
    pub(super) fn arrived(&mut self, at: usize, item: &Item<'_>, plan: &TablePlan) {
        if plan.may_obstruct()
            && let Some(place) = self.slots[at].instance
        {
            self.arrived.insert(waited_for(&self.instances[place].id));
        }
        // One transaction does not wake all that wait for the same row: the next ones follow this.
        let waited = item.letter().and_then(|letter| letter.waits_for.clone());
        self.arrived.extend(waited);
    }

    /// A later item of the batch has overtaken it.
    pub(super) fn overtaken(&mut self, at: usize) {
        self.slots[at].answer = Some(Applied::Skipped(SkipReason::Overtaken));
    }

    /// The item has failed: it becomes, or stays, a letter.
    pub(super) fn fail(&mut self, at: usize, item: &Item<'_>, mut fault: Fault) {
        if matches!(fault.then, Then::Wait) && !self.context.policy.reference_wait.is_zero() {
            let until = self.wait_ends(item);
            if until > self.now {
                return self.wait_for_row(at, item, &fault, until);
            }
            fault.then = Then::Dead;
        }
        if matches!(fault.then, Then::Table | Then::Held) {
            match self.pause(at, item, fault) {
                Some(own) => fault = own,
                None => return,
            }
        }
        let model = self.model(item);
        let attempts = item
            .letter()
            .map_or(0, |letter| letter.attempts)
            .saturating_add(u32::from(
                !matches!(fault.then, Then::Aside) && !self.is_early(item),
            ));
        let backoff = model.and_then(|model| model.retry.delay(attempts));
        let delay = match (fault.then, backoff) {
            (Then::Aside, _) => Some(self.aside_for(item)),
            (Then::Backoff | Then::Wait | Then::Table | Then::Held, _) => {
                match decided(model, item, attempts, &fault) {
                    Retry::Backoff => backoff,
                    Retry::After(delay) => Some(delay),
                    Retry::Dead => None,
                }
            }
            (Then::Dead, _) | (Then::After(_), None) => None,
            (Then::After(delay), Some(_)) => Some(delay),
        };
        let cqrs_id = item.event().map(|event| event.cqrs_id.as_str());
        let verdict = Verdict {
            state: if delay.is_some() {
                LetterState::Retrying
            } else {
                LetterState::Dead
            },
            reason: fault.reason,
            fingerprint: Some(fingerprint(fault.reason, cqrs_id, &fault.error)),
            error: Some(fault.in_full()),
            attempts,
            next_attempt_at: delay.map(|delay| self.after(delay)),
            // Whoever makes room for it wakes it, before its time.
            waits_for: delay.and(fault.waits_for.as_ref()).map(waited_for),
            waits_until: None,
        };
        if delay.is_none() {
            self.release_next(at, item);
        }
        self.keep(at, item, verdict);
    }

    /// Whether a letter was taken up before its time, for the sake of another one: no attempt of its
    /// own.
    fn is_early(&self, item: &Item<'_>) -> bool {
        item.letter()
            .is_some_and(|letter| letter.state == LetterState::Retrying && letter.due_at > self.now)
    }

    /// After how long an item is tried again that was set aside.
    fn aside_for(&self, item: &Item<'_>) -> Duration {
        let since = item.letter().map_or(self.now, |letter| letter.created_at);
        let aside = (self.now - since).to_std().unwrap_or_default();
        aside.clamp(ASIDE, LONGEST_ASIDE)
    }

    /// When the wait of an item for a row ends: a wait that has begun goes on.
    fn wait_ends(&self, item: &Item<'_>) -> DateTime<Utc> {
        let waits = |letter: &&TakenLetter| {
            letter.state == LetterState::Waiting && letter.reason == Reason::Reference
        };
        let begun = item.letter().filter(waits);
        begun
            .and_then(|letter| letter.waits_until)
            .unwrap_or_else(|| self.after(self.context.policy.reference_wait))
    }

    /// The item waits for the row that it refers to, or for one that still refers to it. Who applies
    /// that one wakes it; where nobody will, or somebody has already, it is looked at again and again.
    fn wait_for_row(&mut self, at: usize, item: &Item<'_>, fault: &Fault, until: DateTime<Utc>) {
        let left = (until - self.now).to_std().unwrap_or_default();
        let waited = self.context.policy.reference_wait.saturating_sub(left);
        let is_delete = item
            .event()
            .is_some_and(|event| event.signal == Signal::Delete);
        let is_woken = fault.waits_for.as_ref().is_some_and(|id| {
            let instance = self.instances.iter().find(|instance| instance.id == *id);
            let is_gone = |instance: &Instance| instance.known.is_none_or(|known| known.deleted);
            instance.is_some_and(|instance| is_gone(instance) != is_delete)
        });
        // As long again as it has waited.
        let pause = if is_woken {
            waited.max(LONGEST_LOOK)
        } else {
            waited.clamp(SHORTEST_LOOK, LONGEST_LOOK)
        };
        let cqrs_id = item.event().map(|event| event.cqrs_id.as_str());
        let verdict = Verdict {
            state: LetterState::Waiting,
            reason: fault.reason,
            fingerprint: Some(fingerprint(fault.reason, cqrs_id, &fault.error)),
            error: Some(fault.in_full()),
            attempts: item.letter().map_or(0, |letter| letter.attempts),
            next_attempt_at: Some(self.after(pause).min(until)),
            waits_for: fault.waits_for.as_ref().map(waited_for),
            waits_until: Some(until),
        };
        self.keep(at, item, verdict);
    }

    /// The revision after a dead one has nothing more to wait for.
    fn release_next(&mut self, at: usize, item: &Item<'_>) {
        let (Some(place), Some(event)) = (self.slots[at].instance, item.event()) else {
            return;
        };
        let instance = &mut self.instances[place];
        instance.dead = Some(event.revision.0);
        let next = event.revision.0.checked_add(1);
        let waiting = instance
            .others
            .iter()
            .filter(|letter| letter.revision == next && letter.state == LetterState::Waiting);
        self.wake.extend(waiting.filter_map(|letter| letter.id));
    }

    /// The item waits for its turn.
    pub(super) fn wait(&mut self, at: usize, item: &Item<'_>) {
        if self.kept(at, item) {
            return;
        }
        if let Some(letter) = item.letter()
            && letter.due_at > self.now
            && letter.reason == Reason::Gap
        {
            // Taken up early, in case its turn had come.
            self.slots[at].answer = Some(Applied::Waiting(WaitReason::Gap));
            self.slots[at].kept_before = true;
            return;
        }
        let released = self.slots[at].instance.is_some_and(|place| {
            let before = item
                .event()
                .and_then(|event| event.revision.0.checked_sub(1));
            self.instances[place].dead.is_some() && self.instances[place].dead == before
        });
        let until = match (released, item.letter()) {
            (true, _) => self.now,
            (false, None) => self.after(self.context.policy.gap_wait),
            (false, Some(letter)) => self.after(self.wait_again(letter)),
        };
        self.keep_waiting(at, item, Reason::Gap, until);
    }

    /// How long a letter waits once more. Not long where only a busy worker keeps it waiting. Whoever is done with the one before it wakes it, so it is
    /// looked at ever more seldom: each look writes a row, and thousands may wait.
    fn wait_again(&self, letter: &TakenLetter) -> Duration {
        const SECOND: Duration = Duration::from_secs(1);
        if self.is_held_up() {
            return (self.context.policy.gap_wait / 4).max(SECOND);
        }
        let shortest = self.context.policy.gap_wait.max(SECOND);
        let waited = (self.now - letter.created_at).to_std().unwrap_or_default();
        waited.clamp(shortest, LONGEST_WAIT.max(shortest))
    }

    pub(super) fn keep_waiting(
        &mut self,
        at: usize,
        item: &Item<'_>,
        reason: Reason,
        until: DateTime<Utc>,
    ) {
        let verdict = Verdict {
            state: LetterState::Waiting,
            reason,
            error: None,
            fingerprint: None,
            attempts: item.letter().map_or(0, |letter| letter.attempts),
            next_attempt_at: Some(until),
            waits_for: None,
            waits_until: None,
        };
        self.keep(at, item, verdict);
    }

    pub(super) fn keep(&mut self, at: usize, item: &Item<'_>, verdict: Verdict) {
        let letter = OtherLetter {
            id: item.letter().map(|letter| letter.id),
            state: verdict.state,
            reason: verdict.reason,
            attempts: verdict.attempts,
            message_id: item.incoming().message_id,
            revision: item.event().map(|event| event.revision.0),
            body: Some(item.incoming().body.clone()),
        };
        self.slots[at].answer = Some(verdict.answer());
        self.slots[at].verdict = Some(verdict);
        if let Some(place) = self.slots[at].instance {
            let others = &mut self.instances[place].others;
            others.retain(|other| other.id.is_none() || other.id != letter.id);
            if letter.is_open() {
                others.push(letter);
                return;
            }
        }
        if letter.message_id.is_some() && !letter.is_open() {
            self.closed.push(letter);
        }
    }
}

/// What the model itself says of a failed attempt.
fn decided<S: ReplicaStore>(
    model: Option<&Model<S>>,
    item: &Item<'_>,
    attempts: u32,
    fault: &Fault,
) -> Retry {
    let decide = model.and_then(|model| model.decide.as_ref());
    let (Some(decide), Some(event)) = (decide, item.event()) else {
        return Retry::Backoff;
    };
    let attempt = FailedAttempt {
        event,
        attempts,
        reason: fault.reason.as_str(),
        error: &fault.error,
    };
    retrying::ask(decide, &attempt)
}
