//! What to do with an item: the rules, and all that the rules need not know.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_core::{Event, Signal, wire};

use super::{
    batch::{Batch, Ruling},
    item::Item,
};
use crate::{
    Applied, LetterState, Model, OnExpired, ReplicaStore, SkipReason,
    letter::{Fault, Reason, in_words},
    model::Target,
    rules::{self, Decision, Terms},
};

impl<S: ReplicaStore> Batch<'_, S> {
    /// Deals with items that nobody, or nobody here, can apply.
    pub(super) fn without_model(&mut self, at: usize, item: &Item<'_>) {
        if item.event().is_none() {
            if !self.kept(at, item) {
                let fault = Fault::dead(Reason::Unreadable, unreadable(item));
                self.fail(at, item, fault);
            }
        } else if self.model(item).is_none() && !self.kept(at, item) {
            self.unknown_model(at, item);
        }
    }

    fn unknown_model(&mut self, at: usize, item: &Item<'_>) {
        let name = item.event().map_or("", |event| event.cqrs_id.as_str());
        // One that someone retries waits anew, for a worker that knows the model by now.
        let overdue = item.letter().is_some_and(|letter| {
            letter.state == LetterState::Waiting
                && letter.reason == Reason::UnknownModel
                && letter.due_at <= self.now
        });
        if overdue {
            let error = format!("no worker of this queue has taken model {name:?} in time");
            self.fail(at, item, Fault::dead(Reason::UnknownModel, error));
        } else {
            let until = self.after(self.context.policy.unknown_model_ttl);
            self.keep_waiting(at, item, Reason::UnknownModel, until);
        }
    }

    /// Whether a delivered message is kept as a letter already; it is then answered for.
    pub(super) fn kept(&mut self, at: usize, item: &Item<'_>) -> bool {
        if item.letter().is_some() {
            return false;
        }
        let incoming = item.incoming();
        let mut closed = self.closed.iter();
        let closed = closed.find(|letter| letter.keeps(incoming));
        let open = self.slots[at].instance.and_then(|instance| {
            let others = &self.instances[instance].others;
            others.iter().find(|letter| letter.keeps(incoming))
        });
        let Some(letter) = open.or(closed) else {
            return false;
        };
        self.slots[at].answer = Some(letter.answer_again());
        self.slots[at].kept_before = true;
        true
    }

    /// Judges an item; what needs no more is settled at once.
    pub(super) fn rule(&mut self, at: usize, item: &Item<'_>, model: &Model<S>) -> Ruling {
        let (Some(event), Some(place)) = (item.event(), self.slots[at].instance) else {
            return Ruling::Settled;
        };
        if model.only_direct_syncs && event.signal == Signal::Sync && item.is_broadcast(event) {
            self.slots[at].answer = Some(Applied::Skipped(SkipReason::BroadcastSync));
            return Ruling::Settled;
        }
        if self.kept(at, item) {
            return Ruling::Settled;
        }
        let facts = item.facts(event);
        let in_step = model.target.in_step();
        let terms = Terms {
            tolerance: TimeDelta::from_std(self.context.policy.clock_tolerance)
                .unwrap_or(TimeDelta::MAX),
            sync_downgrade: model.sync_downgrade,
            restores: self.context.policy.restores,
            in_step,
            waited: self.has_waited(item),
        };
        let instance = &mut self.instances[place];
        match rules::judge(instance.known.as_ref(), &facts, &terms) {
            Decision::Skip(reason) => {
                self.slots[at].answer = Some(Applied::Skipped(reason));
                Ruling::Settled
            }
            Decision::Tombstone => {
                instance.known = Some(rules::after(instance.known.as_ref(), &facts));
                instance.changed = true;
                self.slots[at].answer = Some(Applied::Skipped(SkipReason::Duplicate));
                if matches!(model.target, Target::Table(_)) {
                    self.supersedes(at, event);
                }
                Ruling::Settled
            }
            Decision::Wait => Ruling::Wait,
            Decision::Apply { .. } if in_step && self.is_behind(place, item, event) => Ruling::Wait,
            Decision::Apply { gap } => self.admit(at, item, event, model, gap),
        }
    }

    fn admit(
        &mut self,
        at: usize,
        item: &Item<'_>,
        event: &Event,
        model: &Model<S>,
        gap: u64,
    ) -> Ruling {
        // A letter's message is judged by the time it came. One about its expiry was retried by
        // someone who wants it applied; one that failed otherwise has been let past this before.
        let came = item.letter().map_or(self.now, |letter| letter.created_at);
        let pardoned = item
            .letter()
            .is_some_and(|letter| !matches!(letter.reason, Reason::Gap | Reason::UnknownModel));
        let expired = !pardoned && event.expires.is_some_and(|time| time <= came);
        if expired && model.on_expired == OnExpired::Park {
            return Ruling::Fail(Fault::dead(
                Reason::Expired,
                "the message's time to live is over",
            ));
        }
        match self.refused.remove(&at) {
            Some(fault) => Ruling::Fail(fault),
            None => match model.breaker.holds(item.letter().map(|letter| letter.id)) {
                Some(why) => Ruling::Hold(why),
                None => Ruling::Apply { gap, expired },
            },
        }
    }

    /// Whether a message has waited for its turn as long as it may: what came before it would have been
    /// applied by now, or is with nobody.
    fn has_waited(&self, item: &Item<'_>) -> bool {
        let wait = self.context.policy.gap_wait;
        match item.letter() {
            None => wait.is_zero(),
            Some(letter) if letter.reason == Reason::UnknownModel => {
                TimeDelta::from_std(wait).is_ok_and(|wait| self.now - letter.created_at >= wait)
                    && !self.is_held_up()
            }
            Some(letter) if letter.reason == Reason::Gap => {
                letter.due_at <= self.now && !self.is_held_up()
            }
            Some(letter) => letter.due_at <= self.now,
        }
    }

    /// Whether a worker has had messages for so long that the one before a letter whose wait has ended
    /// may be among them, also if it was delivered to another one before.
    pub(super) fn is_held_up(&self) -> bool {
        let wait = self.context.policy.gap_wait;
        let half = TimeDelta::from_std(wait / 2).unwrap_or(TimeDelta::MAX);
        let held = |since: DateTime<Utc>| self.now - since >= half;
        !wait.is_zero() && self.held_since.is_some_and(held)
    }

    /// Whether an earlier revision of the instance is still in a letter that is not done with.
    fn is_behind(&self, place: usize, item: &Item<'_>, event: &Event) -> bool {
        let instance = &self.instances[place];
        let own = item.letter().map(|letter| letter.id);
        let span = instance.next()..event.revision.0;
        instance.others.iter().any(|letter| {
            letter.is_open()
                && (letter.id.is_none() || letter.id != own)
                && letter
                    .revision
                    .is_some_and(|revision| span.contains(&revision))
        })
    }
}

/// Why nobody can apply a message.
fn unreadable(item: &Item<'_>) -> String {
    match wire::decode(&item.incoming().body) {
        Err(error) => in_words(&error),
        Ok(event) if event.revision.0 < 0 => "`cqrs_revision` is negative".to_owned(),
        Ok(_) => format!(
            "the body is {} bytes long, which is more than `broker.max_message_bytes` allows: raise it, \
             and retry the letter",
            item.incoming().body.len()
        ),
    }
}
