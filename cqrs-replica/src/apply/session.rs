//! A worker's session, on any database.

use std::{collections::BTreeSet, fmt, time::Duration};

use cqrs_core::{CqrsId, QueueName, StoreError};
use uuid::Uuid;

use super::{
    alone::Source,
    backend::{Backend, Failed, Work},
    batch::{self, Context, Mode},
    import,
    item::Item,
    observe,
    plans::{self, PlanSet, Plans},
};
use crate::{
    Applied, ApplyPolicy, DueLetters, Imported, Incoming, Letter, LetterState, Models,
    ReplicaSession, ReplicaStatus, UnpublishedLetter, WorkerBeat,
    letter::{in_words, storable},
};

/// The soonest that a letter is looked at again which another session may have in hand.
const BUSY: Duration = Duration::from_millis(50);

/// How many letters of one look may be set aside: each has waited for the lock timeout, or longer.
const ASIDE: u32 = 3;

/// One connection of a worker, with what it has learnt about tables.
pub struct Session<B> {
    pub(super) backend: B,
    pub(super) plans: Plans,
}

impl<B> fmt::Debug for Session<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl<B: Backend> Session<B> {
    pub(crate) fn new(backend: B) -> Self {
        Self {
            backend,
            plans: Plans::default(),
        }
    }

    /// What a batch of these messages is judged by: tables as they were not longer than `age` ago.
    pub(super) async fn context<'c>(
        &mut self,
        models: &'c Models<B::Store>,
        policy: &'c ApplyPolicy,
        items: impl Iterator<Item = &Incoming>,
        age: Duration,
    ) -> Result<Context<'c, B::Store>, StoreError> {
        let ids: BTreeSet<&CqrsId> = items
            .filter_map(|incoming| Some(&incoming.event.as_ref()?.cqrs_id))
            .collect();
        let plans = self.plans.of(&mut self.backend, models, ids, age).await?;
        Ok(Context {
            models,
            policy,
            plans,
        })
    }

    /// Applies letters each on its own. One that another transaction is in the way of, or that takes
    /// too long, is set aside and holds back no other.
    async fn one_by_one(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        ids: &[i64],
    ) -> Result<Vec<Applied>, StoreError> {
        let mut applied = Vec::with_capacity(ids.len());
        let mut aside = 0;
        for id in ids {
            let source = Source::Letter(*id);
            let why = match self.alone(models, policy, source).await {
                Ok(done) => {
                    applied.extend(observe::all(done));
                    continue;
                }
                Err(error) => self.outlived(error).await?,
            };
            match self.aside(models, policy, source, &why).await {
                Ok(done) => applied.extend(observe::all(done)),
                // The instance is in other hands: it stays as it is.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            aside += 1;
            if aside == ASIDE {
                break;
            }
        }
        Ok(applied)
    }

    /// What went wrong, if the database answers nevertheless; otherwise it is lost.
    async fn outlived(&mut self, error: StoreError) -> Result<String, StoreError> {
        let why = match &error {
            StoreError::Conflict(_) => return Ok(in_words(&error)),
            StoreError::Unavailable(_) => in_words(&error),
            _ => return Err(error),
        };
        // An error may hold what is not Sync; it must not live over the wait.
        drop(error);
        self.backend.reconnect().await?;
        Ok(why)
    }
}

impl<B: Backend> ReplicaSession for Session<B> {
    type Store = B::Store;

    async fn check_models(&mut self, models: &Models<B::Store>) -> Result<(), StoreError> {
        self.plans.check(&mut self.backend, models).await
    }

    async fn apply(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        batch: &[Incoming],
    ) -> Result<Vec<Applied>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut age = plans::USUAL;
        let failed = loop {
            let context = self.context(models, policy, batch.iter(), age).await?;
            let work = self.backend.begin().await?;
            let items = batch.iter().map(Item::Delivered).collect();
            match batch::run(work, &context, items, Mode::Together).await {
                Ok(done) => {
                    let mut answers = observe::all(done);
                    // Those of letters that came along are nobody's to acknowledge.
                    answers.truncate(batch.len());
                    return Ok(answers);
                }
                // No plan of the second round is outdated.
                Err(Failed::Outdated) => age = plans::RECENT,
                Err(failed) => break failed,
            }
        };
        observe::repeated(&self.recover(failed).await?, batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for incoming in batch {
            let done = self
                .alone(models, policy, Source::Delivered(incoming))
                .await?;
            answers.extend(observe::all(done));
        }
        Ok(answers)
    }

    async fn set_aside(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        message: &Incoming,
        why: &str,
    ) -> Result<Applied, StoreError> {
        let source = Source::Delivered(message);
        let done = self.aside(models, policy, source, &storable(why)).await?;
        let answer = observe::all(done).pop();
        answer.ok_or_else(|| StoreError::Backend("no answer for a message set aside".into()))
    }

    async fn apply_due(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        limit: usize,
    ) -> Result<DueLetters, StoreError> {
        let known: Vec<CqrsId> = models.iter().map(|model| model.cqrs_id.clone()).collect();
        let mut plans = PlanSet::default();
        let (work, letters) = loop {
            let mut work = self.backend.begin().await?;
            let letters = work.take_due(&policy.queue, &known, limit).await?;
            let events = letters.iter().filter_map(|l| l.incoming.event.as_ref());
            let missing = plans.missing(models, events.map(|event| &event.cqrs_id));
            if missing.is_empty() {
                break (work, letters);
            }
            // Tables are looked at only when there are letters for them, and without holding any.
            drop(work);
            let missing = missing.iter().collect();
            let (kept, backend) = (&mut self.plans, &mut self.backend);
            plans.extend(kept.of(backend, models, missing, plans::LETTERS).await?);
        };
        let context = Context {
            models,
            policy,
            plans,
        };
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let items: Vec<Item<'_>> = letters
            .into_iter()
            .map(|letter| Item::Letter(Box::new(letter)))
            .collect();
        let outcome = if items.is_empty() {
            drop(work);
            Ok(Vec::new())
        } else {
            batch::run(work, &context, items, Mode::Together).await
        };
        let applied = match outcome {
            Ok(done) => observe::all(done),
            Err(failed) => {
                // The same letters would be taken up again and again, and those behind them never.
                match failed {
                    Failed::Store(error) => drop(self.outlived(error).await?),
                    failed => observe::repeated(&self.recover(failed).await?, ids.len()),
                }
                self.one_by_one(models, policy, &ids).await?
            }
        };
        let next = if ids.len() >= limit {
            Some(Duration::ZERO)
        } else {
            let next = self.backend.next_due(&policy.queue).await?;
            next.map(|delay| delay.to_std().unwrap_or_default().max(BUSY))
        };
        Ok(DueLetters { applied, next })
    }

    async fn beat(&mut self, beat: &WorkerBeat) -> Result<(), StoreError> {
        self.backend.beat(beat).await
    }

    async fn retire(&mut self, worker: Uuid) -> Result<(), StoreError> {
        self.backend.retire(worker).await
    }

    async fn prune_tombstones(
        &mut self,
        queue: &QueueName,
        older_than: Duration,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.backend.prune(queue, older_than, limit).await
    }

    async fn status(&mut self, queue: &QueueName) -> Result<ReplicaStatus, StoreError> {
        self.backend.status(queue).await
    }

    async fn letter_list(
        &mut self,
        queue: &QueueName,
        state: Option<LetterState>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        self.backend.letters(queue, None, state, limit).await
    }

    async fn letter_show(
        &mut self,
        queue: &QueueName,
        id: i64,
    ) -> Result<Option<Letter>, StoreError> {
        Ok(self.backend.letters(queue, Some(id), None, 1).await?.pop())
    }

    async fn letter_retry(
        &mut self,
        queue: &QueueName,
        ids: Option<&[i64]>,
    ) -> Result<u64, StoreError> {
        self.backend.retry(queue, ids).await
    }

    async fn letter_discard(
        &mut self,
        queue: &QueueName,
        ids: Option<&[i64]>,
    ) -> Result<u64, StoreError> {
        self.backend.discard(queue, ids).await
    }

    async fn letters_to_publish(
        &mut self,
        queue: &QueueName,
        cqrs_ids: &[CqrsId],
        hold: Duration,
        limit: usize,
    ) -> Result<Vec<UnpublishedLetter>, StoreError> {
        let taken = self
            .backend
            .take_unpublished(queue, cqrs_ids, hold, limit)
            .await?;
        let mut letters: Vec<_> = taken
            .into_iter()
            .map(|letter| UnpublishedLetter {
                id: letter.id,
                attempts: letter.attempts,
                created_at: letter.created_at,
                incoming: letter.incoming,
            })
            .collect();
        letters.sort_unstable_by_key(|letter| letter.id);
        Ok(letters)
    }

    async fn letters_published(
        &mut self,
        queue: &QueueName,
        published: &[(i64, Uuid)],
    ) -> Result<(), StoreError> {
        self.backend.mark_published(queue, published).await
    }

    async fn letter_import(
        &mut self,
        queue: &QueueName,
        messages: Vec<Incoming>,
        retry: bool,
    ) -> Result<Imported, StoreError> {
        import::run(&mut self.backend, queue, messages, retry).await
    }

    async fn close(self) {
        self.backend.close().await;
    }
}
