//! Models whose table, or whose code, fails every event: their events wait as letters until one is
//! taken. See [`crate::breaker`].

use std::time::Duration;

use cqrs_core::{CqrsId, StoreError};

use super::{alone::Source, backend::Backend, batch::Batch, item::Item, session::Session};
use crate::{
    Applied, ApplyPolicy, LetterState, Model, Models, ReplicaStore, WaitReason,
    letter::{Fault, Reason, Then, Verdict, fingerprint},
};

/// When a letter of a paused model is looked at in any case. All that goes on before does not depend on
/// it; not often, since each look writes a row, and there may be very many.
const LOOK: Duration = Duration::from_hours(24);

/// How many letters of a model may say nothing of it in one look.
const TRIALS: u32 = 20;

impl<S: ReplicaStore> Batch<'_, S> {
    /// Keeps an item whose model fails and says so to the others; if the item fails by itself, answers
    /// with what it fails for.
    pub(super) fn pause(&mut self, at: usize, item: &Item<'_>, fault: Fault) -> Option<Fault> {
        let letter = item.letter();
        // It was found to fail by itself before.
        let charged = letter.is_some_and(|letter| {
            letter.state == LetterState::Retrying && letter.reason == fault.reason
        });
        let model = self.model(item).filter(|_| !charged);
        let paused = model.is_some_and(|model| {
            matches!(fault.then, Then::Held)
                || model
                    .breaker
                    .table_failed(&fault.error, letter.map(|letter| letter.id))
        });
        if paused {
            self.keep_held(at, item, fault.error);
            return None;
        }
        Some(Fault {
            then: Then::Backoff,
            ..fault
        })
    }

    /// The item's model is paused. A letter that waits for it already stays as it is.
    pub(super) fn hold(&mut self, at: usize, item: &Item<'_>, why: String) {
        let waits = item
            .letter()
            .is_some_and(|letter| letter.reason == Reason::Paused && letter.due_at > self.now);
        if waits {
            self.slots[at].answer = Some(Applied::Waiting(WaitReason::Paused));
            self.slots[at].kept_before = true;
        } else {
            self.keep_held(at, item, why);
        }
    }

    fn keep_held(&mut self, at: usize, item: &Item<'_>, why: String) {
        let cqrs_id = item.event().map(|event| event.cqrs_id.as_str());
        let verdict = Verdict {
            state: LetterState::Waiting,
            reason: Reason::Paused,
            fingerprint: Some(fingerprint(Reason::Paused, cqrs_id, &why)),
            error: Some(why),
            attempts: item.letter().map_or(0, |letter| letter.attempts),
            next_attempt_at: Some(self.after(LOOK)),
            waits_for: None,
            waits_until: None,
        };
        self.keep(at, item, verdict);
    }
}

impl<B: Backend> Session<B> {
    /// Tries a letter of each paused model for which it is time. Answers what became of them.
    pub(super) async fn try_paused(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
    ) -> Result<Vec<Applied>, StoreError> {
        let mut applied = Vec::new();
        for model in models.iter() {
            for _ in 0..TRIALS {
                if model.breaker.next_trial() != Some(Duration::ZERO) {
                    break;
                }
                applied.extend(self.try_one(models, policy, model).await?);
            }
        }
        Ok(applied)
    }

    async fn try_one(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        model: &Model<B::Store>,
    ) -> Result<Vec<Applied>, StoreError> {
        let held = self.backend.held(&policy.queue, &model.cqrs_id).await?;
        let Some((oldest, latest)) = held else {
            model.breaker.nothing_to_try();
            return Ok(Vec::new());
        };
        let letter = Source::Letter(model.breaker.choose(oldest, latest));
        let done = match self.alone(models, policy, letter).await {
            Ok(done) if !done.is_empty() => done,
            other => {
                model.breaker.passed_over();
                if let Err(error) = other {
                    self.outlived(error).await?;
                }
                return Ok(Vec::new());
            }
        };
        let decided = done.iter().any(|done| says_something(&done.applied));
        let culprit = model.breaker.tried(decided);
        let mut applied = self.tell(done);
        if let Some(culprit) = culprit {
            let judged = self.alone(models, policy, Source::Letter(culprit)).await;
            model.breaker.judged();
            match judged {
                Ok(judged) => applied.extend(self.tell(judged)),
                Err(error) => drop(self.outlived(error).await?),
            }
        }
        Ok(applied)
    }
}

/// Whether the table, or the code, had to do with what became of a letter.
const fn says_something(applied: &Applied) -> bool {
    !matches!(
        applied,
        Applied::Skipped(_) | Applied::Waiting(WaitReason::Gap | WaitReason::UnknownModel)
    )
}

/// The models of a worker that are not paused.
pub(super) fn not_paused<S: ReplicaStore>(models: &Models<S>) -> Vec<CqrsId> {
    models
        .iter()
        .filter(|model| !model.breaker.is_paused())
        .map(|model| model.cqrs_id.clone())
        .collect()
}

/// How long until a letter of a paused model is to be tried.
pub(super) fn next_trial<S: ReplicaStore>(models: &Models<S>) -> Option<Duration> {
    models
        .iter()
        .filter_map(|model| model.breaker.next_trial())
        .min()
}
