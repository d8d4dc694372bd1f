//! A worker's session, on any database.

use std::{collections::BTreeSet, fmt, mem, time::Duration};

use cqrs_core::{CqrsId, QueueName, StoreError};
use uuid::Uuid;

use super::{
    alone::Source,
    backend::{Backend, Failed, Pace},
    batch::{self, Context, Mode},
    hindered::Hindered,
    import,
    item::{Done, Item},
    observe,
    obstacles::Refused,
    plans::{self, Plans},
};
use crate::{
    Applied, ApplyPolicy, DueLetters, Imported, Incoming, Letter, LetterFilter, LetterGroup,
    LetterState, Models, ReplicaSession, ReplicaStatus, UnpublishedLetter, WorkerBeat,
    letter::storable,
};

/// One connection of a worker, with what it has learnt about tables.
pub struct Session<B> {
    pub(super) backend: B,
    pub(super) plans: Plans,
    /// Whether a batch may take as long as a statement may: one was too much for less, and nothing in
    /// it was in the way.
    pub(super) unhurried: bool,
    pub(super) hindered: Hindered,
    /// Whether letters were made due since this was last asked.
    woken: bool,
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
            unhurried: false,
            hindered: Hindered::default(),
            woken: false,
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

    /// As one, or one by one if that fails.
    async fn together(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        batch: &[&Incoming],
    ) -> Result<Vec<Applied>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut age = plans::USUAL;
        let mut refused: Option<Refused> = None;
        let messages = || batch.iter().copied();
        let own_code = self.unhurried || models.call_own_code(messages());
        let failed = loop {
            let mut context = self.context(models, policy, messages(), age).await?;
            let events = messages().filter_map(|message| message.event.as_deref());
            if let Some(least) = events.filter_map(|event| self.plans.age_for(event)).min()
                && least < age
            {
                age = least;
                context = self.context(models, policy, messages(), age).await?;
            }
            let work = self.backend.begin_at(Pace::Busy, own_code).await?;
            let items = messages().map(Item::Delivered).collect();
            let mode = Mode::Together(refused.clone());
            match batch::run(work, &context, items, mode).await {
                Ok(done) => {
                    let mut answers = self.tell(done);
                    // Those of letters that came along are nobody's to acknowledge.
                    answers.truncate(batch.len());
                    return Ok(answers);
                }
                // No plan of the second round is outdated.
                Err(Failed::Outdated) => age = plans::RECENT,
                Err(failed) if failed.is_obstruction() && refused.is_none() => {
                    observe::repeated(&self.recover(failed).await?, batch.len());
                    refused = Some(self.obstructed(models, batch, age).await?);
                }
                Err(failed) => break failed,
            }
        };
        let (slow, too_long) = match failed {
            Failed::Store(error) if B::is_hindered(&error) => {
                (true, matches!(error, StoreError::Unavailable(_)))
            }
            failed => {
                observe::repeated(&self.recover(failed).await?, batch.len());
                (false, false)
            }
        };
        let singly = self.one_after_the_other(models, policy, batch, slow);
        let (answers, any_aside) = singly.await?;
        self.unhurried |= too_long && !any_aside;
        Ok(answers)
    }

    /// See [`ReplicaSession::set_aside`].
    pub(super) async fn put_aside(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        message: &Incoming,
        why: &str,
    ) -> Result<Applied, StoreError> {
        let source = Source::Delivered(message);
        let done = self.aside(models, policy, source, &storable(why)).await?;
        self.only(done)
    }

    /// Tells of the one message that something was done about.
    pub(super) fn only(&mut self, done: Vec<Done<'_>>) -> Result<Applied, StoreError> {
        let answer = self.tell(done).pop();
        answer.ok_or_else(|| StoreError::Backend("no answer for a message".into()))
    }

    /// Tells of what was done, and remembers whether there are letters to take up.
    pub(super) fn tell(&mut self, done: Vec<Done<'_>>) -> Vec<Applied> {
        self.woken |= done.iter().any(|done| done.woke);
        observe::all(done)
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
        let mut answers: Vec<Option<Applied>> = Vec::with_capacity(batch.len());
        for incoming in batch {
            answers.push(self.if_hindered(models, policy, incoming).await?);
        }
        let open = batch.iter().zip(&answers);
        let rest: Vec<&Incoming> = open
            .filter(|(_, answer)| answer.is_none())
            .map(|(incoming, _)| incoming)
            .collect();
        let mut applied = self.together(models, policy, &rest).await?.into_iter();
        let all = answers
            .into_iter()
            .filter_map(|answer| answer.or_else(|| applied.next()));
        Ok(all.collect())
    }

    async fn set_aside(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        message: &Incoming,
        why: &str,
    ) -> Result<Applied, StoreError> {
        self.put_aside(models, policy, message, why).await
    }

    async fn apply_due(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        limit: usize,
    ) -> Result<DueLetters, StoreError> {
        self.due(models, policy, limit).await
    }

    async fn beat(&mut self, beat: &WorkerBeat) -> Result<(), StoreError> {
        self.backend.beat(beat).await
    }

    async fn retire(&mut self, worker: Uuid) -> Result<(), StoreError> {
        self.backend.retire(worker).await
    }

    fn has_woken(&mut self) -> bool {
        mem::take(&mut self.woken)
    }

    async fn prune_tombstones(
        &mut self,
        queue: &QueueName,
        older_than: Duration,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.backend
            .prune_tombstones(queue, older_than, limit)
            .await
    }

    async fn prune_letters(
        &mut self,
        queue: &QueueName,
        state: LetterState,
        older_than: Duration,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.backend
            .prune_letters(queue, state, older_than, limit)
            .await
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

    async fn letter_page(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        self.backend.letters_page(queue, filter, after, limit).await
    }

    async fn letter_groups(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        ids: Option<&[i64]>,
    ) -> Result<Vec<LetterGroup>, StoreError> {
        self.backend.letter_groups(queue, filter, ids).await
    }

    async fn letter_purge(&mut self, queue: &QueueName, ids: &[i64]) -> Result<u64, StoreError> {
        self.backend.purge(queue, ids).await
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
