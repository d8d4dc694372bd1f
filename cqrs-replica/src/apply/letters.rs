//! What a batch writes about letters.

use cqrs_core::{Event, QueueName, StoreError, wire};

use super::{backend::Work, batch::Slot, item::Item};
use crate::{
    Applied, Incoming, LetterState, SkipReason,
    letter::{NewLetter, Verdict, identifier},
};

/// The letters that a batch writes, changes and ends.
#[derive(Debug, Default)]
pub(super) struct Letters<'b> {
    new: Vec<NewLetter<'b>>,
    changed: Vec<(i64, &'b Verdict)>,
    resolved: Vec<i64>,
    superseded: Vec<i64>,
    /// Waits that ended well leave nothing to look at.
    ended: Vec<i64>,
}

impl<'b> Letters<'b> {
    /// Notes what an item's answer means for its letter.
    pub(super) fn add(&mut self, slot: &'b Slot, item: &'b Item<'_>) {
        match (item.letter(), &slot.verdict, &slot.answer) {
            (None, Some(verdict), _) => self.new.push(letter(item, verdict)),
            (Some(letter), Some(verdict), _) => self.changed.push((letter.id, verdict)),
            (Some(letter), None, Some(Applied::Applied { .. })) => {
                if letter.state == LetterState::Waiting && letter.attempts == 0 {
                    self.ended.push(letter.id);
                } else {
                    self.resolved.push(letter.id);
                }
            }
            (Some(letter), None, Some(Applied::Skipped(SkipReason::Duplicate))) => {
                self.resolved.push(letter.id);
            }
            (Some(letter), None, Some(Applied::Skipped(_))) => self.superseded.push(letter.id),
            _ => {}
        }
    }

    /// Whether there are letters now that were not there before.
    pub(super) const fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    pub(super) async fn write<W: Work>(
        &self,
        work: &mut W,
        queue: &QueueName,
    ) -> Result<(), StoreError> {
        if !self.new.is_empty() {
            work.insert_letters(queue, &self.new).await?;
        }
        if !self.changed.is_empty() {
            work.change_letters(&self.changed).await?;
        }
        if !self.resolved.is_empty() {
            work.close_letters(&self.resolved, LetterState::Resolved)
                .await?;
        }
        if !self.superseded.is_empty() {
            work.close_letters(&self.superseded, LetterState::Superseded)
                .await?;
        }
        if !self.ended.is_empty() {
            work.delete_letters(&self.ended).await?;
        }
        Ok(())
    }
}

/// The letter that keeps a delivered message.
fn letter<'b>(item: &'b Item<'_>, verdict: &'b Verdict) -> NewLetter<'b> {
    kept(item.incoming(), item.event(), verdict)
}

/// The letter that keeps a message.
pub(super) fn kept<'b>(
    incoming: &'b Incoming,
    event: Option<&Event>,
    verdict: &'b Verdict,
) -> NewLetter<'b> {
    if let Some(event) = event {
        return NewLetter {
            incoming,
            verdict,
            cqrs_id: Some(event.cqrs_id.to_string()),
            instance_pk: Some(event.key.canonical()),
            signal: Some(event.signal.as_str()),
            revision: Some(event.revision.0),
        };
    }
    // As much as could be read.
    let (cqrs_id, instance_pk) = match wire::decode(&incoming.body) {
        Ok(event) => (Some(event.cqrs_id.to_string()), Some(event.key.canonical())),
        Err(error) => (error.cqrs_id, error.instance_pk),
    };
    NewLetter {
        incoming,
        verdict,
        cqrs_id: cqrs_id.as_deref().map(identifier),
        instance_pk,
        signal: None,
        revision: None,
    }
}
