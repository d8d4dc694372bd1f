//! One message at a time: the way of a message that fails its transaction.

use std::time::Duration;

use cqrs_core::StoreError;

use super::{
    backend::{Backend, Failed, Pace, Work},
    batch::{self, Mode},
    item::{Done, Item},
    plans,
    session::Session,
};
use crate::{
    ApplyPolicy, Incoming, Models,
    letter::{Fault, Reason, in_words},
};

/// How often a message that has failed is tried to be kept while another transaction is in the way:
/// its own connection may have been given up in the middle of a statement, which goes on for a while
/// in the server.
const TRIES: u32 = 4;

/// Where a message to apply on its own comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Delivered(&'a Incoming),
    Letter(i64),
}

impl Source<'_> {
    /// How old a plan may be by which it is judged: none that it could not fail by.
    pub(super) const fn age(self) -> Duration {
        match self {
            Self::Delivered(_) => plans::RECENT,
            Self::Letter(_) => plans::LETTERS,
        }
    }
}

impl<B: Backend> Session<B> {
    /// Applies one message on its own; if that fails, keeps it with the reason, or at least its bytes.
    pub(super) async fn alone<'a>(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        source: Source<'a>,
    ) -> Result<Vec<Done<'a>>, StoreError> {
        self.alone_at(Pace::Quick, models, policy, source).await
    }

    /// The same at a pace.
    pub(super) async fn alone_at<'a>(
        &mut self,
        pace: Pace,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        source: Source<'a>,
    ) -> Result<Vec<Done<'a>>, StoreError> {
        match self.applied_or_kept(pace, models, policy, source).await {
            Err(error) if B::refuses(&error) => self.keep_bytes(policy, source, error).await,
            done => done,
        }
    }

    async fn applied_or_kept<'a>(
        &mut self,
        pace: Pace,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        source: Source<'a>,
    ) -> Result<Vec<Done<'a>>, StoreError> {
        let attempt = self.attempt(pace, models, policy, source, Mode::Alone);
        let failed = match attempt.await? {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        let fault = self.recover(failed).await?;
        let fault = self.diagnose(models, policy, source, fault).await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mode = Mode::Failed(fault.clone());
            let attempt = self.attempt(Pace::Busy, models, policy, source, mode);
            return match attempt.await? {
                Ok(done) => Ok(done),
                Err(Failed::Store(StoreError::Conflict(_))) if tries < TRIES => continue,
                Err(Failed::Store(error)) => Err(error),
                Err(Failed::Outdated) => Err(self.outdated()),
                Err(Failed::Fault { fault, .. }) => Err(StoreError::Backend(fault.error.into())),
            };
        }
    }

    /// Keeps one message to be tried again soon, without counting an attempt: the database answers,
    /// and yet does not take it. The user's tables are not touched.
    pub(super) async fn aside<'a>(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        source: Source<'a>,
        why: &str,
    ) -> Result<Vec<Done<'a>>, StoreError> {
        let mode = Mode::Failed(Fault::aside(why));
        let attempt = self.attempt(Pace::Busy, models, policy, source, mode);
        let error = match attempt.await? {
            Ok(done) => return Ok(done),
            Err(Failed::Store(error)) => error,
            Err(Failed::Outdated) => self.outdated(),
            Err(Failed::Fault { fault, .. }) => StoreError::Backend(fault.error.into()),
        };
        self.keep_bytes(policy, source, error).await
    }

    async fn attempt<'a>(
        &mut self,
        pace: Pace,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        source: Source<'a>,
        mode: Mode,
    ) -> Result<Result<Vec<Done<'a>>, Failed>, StoreError> {
        match source {
            Source::Delivered(incoming) => {
                let context = self
                    .context(models, policy, std::iter::once(incoming), source.age())
                    .await?;
                let own_code = models.call_own_code(std::iter::once(incoming));
                let work = self.backend.begin_at(pace, own_code).await?;
                Ok(batch::run(work, &context, vec![Item::Delivered(incoming)], mode).await)
            }
            Source::Letter(id) => {
                let Some(letter) = self
                    .backend
                    .begin()
                    .await?
                    .take_one(&policy.queue, id)
                    .await?
                else {
                    return Ok(Ok(Vec::new()));
                };
                let incoming = std::iter::once(&letter.incoming);
                let context = self.context(models, policy, incoming, source.age()).await?;
                // Read once more, this time to hold it.
                // Nobody waits for a letter, but its instance is locked.
                let mut work = self.backend.begin_at(pace, true).await?;
                let Some(letter) = work.take_one(&policy.queue, id).await? else {
                    return Ok(Ok(Vec::new()));
                };
                let items = vec![Item::Letter(Box::new(letter))];
                Ok(batch::run(work, &context, items, mode).await)
            }
        }
    }

    /// Makes the session usable again after a fault.
    pub(super) async fn recover(&mut self, failed: Failed) -> Result<Fault, StoreError> {
        match failed {
            Failed::Store(error) if B::refuses(&error) => {
                Ok(Fault::dead(Reason::Database, in_words(&error)))
            }
            Failed::Store(error) => Err(error),
            Failed::Outdated => Err(self.outdated()),
            Failed::Fault { fault, lost } => {
                if lost {
                    self.backend.reconnect().await?;
                }
                // Rows that are in each other's way say nothing against the table.
                if !fault.is_obstruction() {
                    self.plans.clear();
                }
                Ok(fault)
            }
        }
    }

    /// What is judged by recent plans alone is never outdated; if it were, it would be repeated.
    fn outdated(&mut self) -> StoreError {
        self.plans.clear();
        StoreError::Conflict("judged by what a table was".into())
    }
}
