//! Messages that a lock, or their own slowness, is in the way of: found quickly and set aside, so that
//! they hold up nobody else.

use std::{collections::HashMap, time::Duration};

use cqrs_core::StoreError;
use tokio::time::Instant;

use super::{
    alone::Source,
    backend::{Backend, InstanceId, Pace},
    session::Session,
};
use crate::{Applied, ApplyPolicy, Incoming, Models, letter::in_words};

/// For how long the later messages of an instance follow one that was set aside, untried.
const FOLLOWING: Duration = Duration::from_secs(5);

/// Instances of which a message was set aside lately, and when.
#[derive(Debug, Default)]
pub(super) struct Hindered(HashMap<InstanceId, Instant>);

impl Hindered {
    fn since(&self, incoming: &Incoming) -> Option<Instant> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&instance(incoming)?).copied()
    }

    fn add(&mut self, incoming: &Incoming) {
        let now = Instant::now();
        self.0.retain(|_, since| now - *since < 12 * FOLLOWING);
        if let Some(instance) = instance(incoming) {
            self.0.insert(instance, now);
        }
    }

    fn remove(&mut self, incoming: &Incoming) {
        if let Some(instance) = instance(incoming) {
            self.0.remove(&instance);
        }
    }
}

fn instance(incoming: &Incoming) -> Option<InstanceId> {
    let event = incoming.event.as_deref()?;
    Some((event.cqrs_id.clone(), event.key.canonical()))
}

impl<B: Backend> Session<B> {
    /// Applies a message if something was in the way of its instance lately: sets it aside, or tries
    /// it alone when it is time. `None`: nothing was.
    pub(super) async fn if_hindered(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        incoming: &Incoming,
    ) -> Result<Option<Applied>, StoreError> {
        let Some(since) = self.hindered.since(incoming) else {
            return Ok(None);
        };
        if since.elapsed() >= FOLLOWING {
            let (answer, _) = self.singly(models, policy, incoming, Pace::Quick).await?;
            return Ok(Some(answer));
        }
        let why = "a message of the same instance was set aside just before";
        self.put_aside(models, policy, incoming, why)
            .await
            .map(Some)
    }

    /// Applies messages one by one. `slow`: the database gave up on all of them together. Answers, and
    /// whether any was set aside.
    pub(super) async fn one_after_the_other(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        batch: &[&Incoming],
        mut slow: bool,
    ) -> Result<(Vec<Applied>, bool), StoreError> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut any_aside = false;
        for incoming in batch {
            // Set aside since this began: the first was enough.
            let followed = self.if_hindered(models, policy, incoming).await?;
            let (answer, aside) = if let Some(answer) = followed {
                (answer, true)
            } else {
                let pace = if slow { Pace::Quick } else { Pace::Busy };
                self.singly(models, policy, incoming, pace).await?
            };
            slow |= aside;
            any_aside |= aside;
            answers.push(answer);
        }
        Ok((answers, any_aside))
    }

    /// Applies one message, or sets it aside. Answers, and whether it was set aside.
    async fn singly(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        incoming: &Incoming,
        pace: Pace,
    ) -> Result<(Applied, bool), StoreError> {
        let source = Source::Delivered(incoming);
        let why = match self.alone_at(pace, models, policy, source).await {
            Ok(done) => {
                self.hindered.remove(incoming);
                return Ok((self.only(done)?, false));
            }
            Err(error) if B::is_hindered(&error) => in_words(&error),
            Err(error) => return Err(error),
        };
        let answer = self.put_aside(models, policy, incoming, &why).await?;
        self.hindered.add(incoming);
        Ok((answer, true))
    }
}
