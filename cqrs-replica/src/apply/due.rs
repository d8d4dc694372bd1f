//! Letters that are due.

use std::{collections::HashMap, time::Duration};

use cqrs_core::StoreError;

use super::{
    alone::Source,
    backend::{Backend, Failed, Pace, Work},
    batch::{self, Context, Mode},
    item::Item,
    observe, paused,
    plans::{self, PlanSet},
    session::Session,
};
use crate::{
    Applied, ApplyPolicy, DueLetters, Incoming, Models,
    letter::{Fault, Reason, in_words},
};

/// The soonest that a letter is looked at again which another session may have in hand.
const BUSY: Duration = Duration::from_millis(50);

/// How many letters of one look may be set aside: each has waited for the lock timeout, or longer.
const ASIDE: u32 = 3;

impl<B: Backend> Session<B> {
    /// See [`crate::ReplicaSession::apply_due`].
    pub(super) async fn due(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        limit: usize,
    ) -> Result<DueLetters, StoreError> {
        let mut applied = self.try_paused(models, policy).await?;
        let ready = paused::not_paused(models);
        // Those that other rows are in the way of, by letter.
        let mut obstructed: Option<HashMap<i64, Fault>> = None;
        let (ids, slow, outcome) = loop {
            let mut plans = PlanSet::default();
            let (work, letters) = loop {
                // A lane may wait for what this locks.
                let mut work = self.backend.begin_at(Pace::Busy, true).await?;
                let letters = work.take_due(&policy.queue, &ready, limit).await?;
                let events = letters.iter().filter_map(|l| l.incoming.event.as_ref());
                let missing = plans.missing(models, events.map(|event| &event.cqrs_id));
                if missing.is_empty() {
                    break (work, letters);
                }
                // Tables are looked at only when there are letters for them, and without holding
                // any.
                drop(work);
                let missing = missing.iter().collect();
                let (kept, backend) = (&mut self.plans, &mut self.backend);
                plans.extend(kept.of(backend, models, missing, plans::LETTERS).await?);
            };
            // One that the database did not take in time before may take long again, and would
            // cost the others their transaction.
            let (slow, letters): (Vec<_>, Vec<_>) = letters
                .into_iter()
                .partition(|letter| letter.reason == Reason::Database);
            let slow: Vec<i64> = slow.iter().map(|letter| letter.id).collect();
            if letters.is_empty() {
                drop(work);
                break (Vec::new(), slow, Ok(Vec::new()));
            }
            let context = Context {
                models,
                policy,
                plans,
            };
            let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
            let refused = obstructed.as_ref().map(|obstructed| {
                let fault = |(at, id)| Some((at, obstructed.get(id)?.clone()));
                ids.iter().enumerate().filter_map(fault).collect()
            });
            // The messages, in case that the tables have to be looked at for them.
            let messages: Vec<Incoming> = if obstructed.is_none() && context.plans.may_obstruct() {
                letters.iter().map(|l| l.incoming.clone()).collect()
            } else {
                Vec::new()
            };
            let items = letters
                .into_iter()
                .map(|letter| Item::Letter(Box::new(letter)))
                .collect();
            let mode = Mode::Together(refused);
            match batch::run(work, &context, items, mode).await {
                Err(failed) if failed.is_obstruction() && obstructed.is_none() => {
                    observe::repeated(&self.recover(failed).await?, ids.len());
                    let messages: Vec<&Incoming> = messages.iter().collect();
                    let found = self.obstructed(models, &messages, plans::LETTERS).await?;
                    let by_letter = found.into_iter().map(|(at, fault)| (ids[at], fault));
                    obstructed = Some(by_letter.collect());
                }
                outcome => break (ids, slow, outcome),
            }
        };
        applied.extend(match outcome {
            Ok(done) => self.tell(done),
            Err(failed) => {
                // The same letters would be taken up again and again, and those behind them never.
                match failed {
                    Failed::Store(error) => drop(self.outlived(error).await?),
                    failed => observe::repeated(&self.recover(failed).await?, ids.len()),
                }
                self.one_by_one(models, policy, &ids, ASIDE).await?
            }
        });
        applied.extend(self.one_by_one(models, policy, &slow, 1).await?);
        let next = if ids.len() >= limit {
            Some(Duration::ZERO)
        } else {
            let next = self.backend.next_due(&policy.queue).await?;
            let next = next.map(|delay| delay.to_std().unwrap_or_default().max(BUSY));
            next.into_iter().chain(paused::next_trial(models)).min()
        };
        Ok(DueLetters { applied, next })
    }

    /// Applies letters each on its own. One that another transaction is in the way of, or that takes
    /// too long, is set aside and holds back no other; after so many of these the rest waits for the next
    /// look.
    async fn one_by_one(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        ids: &[i64],
        most_aside: u32,
    ) -> Result<Vec<Applied>, StoreError> {
        let mut applied = Vec::with_capacity(ids.len());
        let mut aside = 0;
        for id in ids {
            let source = Source::Letter(*id);
            let why = match self.alone(models, policy, source).await {
                Ok(done) => {
                    applied.extend(self.tell(done));
                    continue;
                }
                Err(error) => self.outlived(error).await?,
            };
            match self.aside(models, policy, source, &why).await {
                Ok(done) => applied.extend(self.tell(done)),
                // The instance is in other hands: it stays as it is.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            aside += 1;
            if aside == most_aside {
                break;
            }
        }
        Ok(applied)
    }

    /// What went wrong, if the database answers nevertheless; otherwise it is lost.
    pub(super) async fn outlived(&mut self, error: StoreError) -> Result<String, StoreError> {
        let why = match &error {
            StoreError::Conflict(_) => return Ok(in_words(&error)),
            _ if B::refuses(&error) => return Ok(in_words(&error)),
            StoreError::Unavailable(_) => in_words(&error),
            _ => return Err(error),
        };
        // An error may hold what is not Sync; it must not live over the wait.
        drop(error);
        self.backend.reconnect().await?;
        Ok(why)
    }
}
