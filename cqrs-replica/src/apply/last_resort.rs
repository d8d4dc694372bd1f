//! The last resort: a message that the database refuses as a letter, or never stores in time.
//!
//! Such a letter depends on its message as little as can be: nothing that was read of it is stored, no
//! instance is locked, and what is said of it is ASCII. If even the bytes are too many, the beginning
//! of them is kept, with their number and hash.

use bytes::Bytes;
use chrono::TimeDelta;
use cqrs_core::{StoreError, transport::Headers};
use sha2::{Digest, Sha256};

use super::{
    alone::Source,
    backend::{Backend, Failed, Work},
    item::{Done, Item},
    outcome::ASIDE,
    session::Session,
};
use crate::{
    Applied, ApplyPolicy, Incoming, LetterState,
    letter::{BEGINNING, NewLetter, Reason, Verdict, in_words, plain},
};

impl<B: Backend> Session<B> {
    /// Keeps the bytes of a message that could not be kept otherwise for this error. A letter stays
    /// what it is, unless the database refuses the message itself: then it is dead.
    pub(super) async fn keep_bytes<'a>(
        &mut self,
        policy: &ApplyPolicy,
        source: Source<'a>,
        error: StoreError,
    ) -> Result<Vec<Done<'a>>, StoreError> {
        let refused = B::refuses(&error);
        let why = plain(&in_words(&error));
        let incoming = match source {
            Source::Delivered(incoming) => incoming,
            Source::Letter(id) if refused => return self.bury(policy, id, why).await,
            Source::Letter(_) => return Err(error),
        };
        self.outlives(error).await?;
        let whole = bare(incoming, incoming.body.clone());
        let error = match self
            .keep_bare(policy, incoming, &whole, refused, &why)
            .await
        {
            Ok(done) => return Ok(vec![done]),
            Err(error) => error,
        };
        // What may be an event is not cut for the sake of time: the database may have more of it later.
        let refused = B::refuses(&error);
        if incoming.body.len() <= BEGINNING || !(refused || incoming.event.is_none()) {
            return Err(error);
        }
        self.outlives(error).await?;
        let beginning = bare(incoming, incoming.body.slice(..BEGINNING));
        let why = format!(
            "{why}; of its {} bytes with SHA-256 {:x} the first {BEGINNING} are kept",
            incoming.body.len(),
            Sha256::digest(&incoming.body)
        );
        let done = self.keep_bare(policy, incoming, &beginning, true, &why);
        Ok(vec![done.await?])
    }

    /// Stores a message without anything that was read of it, once.
    async fn keep_bare<'a>(
        &mut self,
        policy: &ApplyPolicy,
        incoming: &'a Incoming,
        bare: &Incoming,
        dead: bool,
        why: &str,
    ) -> Result<Done<'a>, StoreError> {
        let queue = &policy.queue;
        let mut work = self.backend.begin().await?;
        let now = work.lock(queue, &[]).await?.now;
        let ids: Vec<_> = incoming.message_id.into_iter().collect();
        let mut kept = work.others(queue, &[], &ids).await?.into_iter();
        let again = kept.find_map(|(_, letter)| {
            let is_closed = matches!(letter.state, LetterState::Dead | LetterState::Discarded);
            (is_closed && letter.keeps(incoming)).then(|| letter.answer_again())
        });
        if let Some(applied) = again {
            return Ok(done(Item::Delivered(incoming), applied, None));
        }
        let mut verdict = buried(why.to_owned());
        if !dead {
            verdict.state = LetterState::Retrying;
            verdict.next_attempt_at = Some(now + TimeDelta::from_std(ASIDE).unwrap_or_default());
        }
        let letter = NewLetter {
            incoming: bare,
            verdict: &verdict,
            cqrs_id: None,
            instance_pk: None,
            signal: None,
            revision: None,
        };
        work.insert_letters(queue, &[letter]).await?;
        commit(work).await?;
        Ok(done(
            Item::Delivered(incoming),
            verdict.answer(),
            verdict.error,
        ))
    }

    /// Makes a letter dead without looking at its message.
    async fn bury<'a>(
        &mut self,
        policy: &ApplyPolicy,
        id: i64,
        why: String,
    ) -> Result<Vec<Done<'a>>, StoreError> {
        let mut work = self.backend.begin().await?;
        let Some(letter) = work.take_one(&policy.queue, id).await? else {
            return Ok(Vec::new());
        };
        let verdict = Verdict {
            attempts: letter.attempts.saturating_add(1),
            ..buried(why)
        };
        work.change_letters(&[(id, &verdict)]).await?;
        commit(work).await?;
        let item = Item::Letter(Box::new(letter));
        Ok(vec![done(item, verdict.answer(), verdict.error)])
    }

    /// Makes the session usable again if the database has given up on the statement. Where the connection
    /// was lost, or if someone has to mend the database, nothing is said against the message.
    async fn outlives(&mut self, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Backend(_) => Ok(()),
            error if B::is_hindered(&error) && !matches!(error, StoreError::Conflict(_)) => {
                self.backend.reconnect().await
            }
            error => Err(error),
        }
    }
}

/// A message without what no database need take.
fn bare(incoming: &Incoming, body: Bytes) -> Incoming {
    Incoming {
        message_id: incoming.message_id,
        routing_key: plain(&incoming.routing_key),
        body,
        headers: Headers {
            trace: None,
            ..incoming.headers.clone()
        },
        event: None,
    }
}

const fn buried(why: String) -> Verdict {
    Verdict {
        state: LetterState::Dead,
        reason: Reason::Database,
        error: Some(why),
        fingerprint: None,
        attempts: 0,
        next_attempt_at: None,
        waits_for: None,
        waits_until: None,
    }
}

const fn done(item: Item<'_>, applied: Applied, error: Option<String>) -> Done<'_> {
    Done {
        item,
        applied,
        kept_before: error.is_none(),
        in_step: false,
        woke: false,
        error,
    }
}

async fn commit<W: Work>(work: W) -> Result<(), StoreError> {
    match work.commit().await {
        Ok(()) => Ok(()),
        Err(Failed::Store(error)) => Err(error),
        Err(Failed::Fault { fault, .. }) => Err(StoreError::Backend(fault.error.into())),
        Err(Failed::Outdated) => Err(StoreError::Backend("an outdated plan at the end".into())),
    }
}
