//! Which deliveries may be acknowledged, in as few words as possible.
//!
//! One [`Acks`] belongs to one subscriber. Messages come in the order of their tags and are finished
//! in any order. All that precede the lowest unfinished one go in a single [`Ack::UpTo`]. What was
//! finished beyond it is held back, since one more finished batch usually joins it to the rest; only
//! when that takes too long does the caller ask for [`Acks::take_stragglers`], one [`Ack::One`] each.
//!
//! Guarantees, each a property below: an unfinished tag is never acknowledged; every finished one is
//! acknowledged exactly once; the tag that an answer names is itself not yet acknowledged (RabbitMQ
//! closes the channel otherwise).

use std::{collections::VecDeque, time::Instant};

use cqrs_core::transport::{Ack, DeliveryTag};

/// The deliveries of one subscriber that are not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// In the order of their tags; the first is not acknowledged.
    entries: VecDeque<Entry>,
    /// How many of them are finished and not acknowledged.
    held_back: usize,
}

#[derive(Debug)]
struct Entry {
    tag: DeliveryTag,
    came: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unfinished,
    Finished,
    Acknowledged,
}

impl Acks {
    /// A delivery has come; its tag is higher than all before it.
    pub(crate) fn came(&mut self, tag: DeliveryTag, at: Instant) {
        debug_assert!(
            self.entries.back().is_none_or(|last| last.tag < tag),
            "tags rise"
        );
        self.entries.push_back(Entry {
            tag,
            came: at,
            state: State::Unfinished,
        });
    }

    /// What became of it is durable. A tag that is not open is passed over.
    pub(crate) fn finished(&mut self, tag: DeliveryTag) {
        if let Ok(index) = self.entries.binary_search_by_key(&tag, |entry| entry.tag)
            && self.entries[index].state == State::Unfinished
        {
            self.entries[index].state = State::Finished;
            self.held_back += 1;
        }
    }

    /// What is to be sent for all before the lowest unfinished delivery, with the number of messages
    /// it acknowledges. The caller sends it.
    pub(crate) fn take_leading(&mut self) -> Option<(Ack, usize)> {
        let mut last = None;
        let mut count = 0;
        while let Some(entry) = self
            .entries
            .pop_front_if(|entry| entry.state != State::Unfinished)
        {
            if entry.state == State::Finished {
                last = Some(entry.tag);
                count += 1;
            }
        }
        self.held_back -= count;
        let tag = last?;
        Some((
            if count == 1 {
                Ack::One(tag)
            } else {
                Ack::UpTo(tag)
            },
            count,
        ))
    }

    /// What is to be sent for those held back. The caller sends all of it.
    pub(crate) fn take_stragglers(&mut self) -> Vec<Ack> {
        self.held_back = 0;
        let held_back = self
            .entries
            .iter_mut()
            .filter(|entry| entry.state == State::Finished);
        held_back
            .map(|entry| {
                entry.state = State::Acknowledged;
                Ack::One(entry.tag)
            })
            .collect()
    }

    /// How many are finished and wait for an earlier one. Call after [`Self::take_leading`].
    pub(crate) const fn held_back(&self) -> usize {
        self.held_back
    }

    /// When the oldest delivery came that is not acknowledged.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.came)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn with_tags(tags: impl IntoIterator<Item = u64>) -> Acks {
        let mut acks = Acks::default();
        let now = Instant::now();
        tags.into_iter()
            .for_each(|tag| acks.came(DeliveryTag(tag), now));
        acks
    }

    fn finish(acks: &mut Acks, tags: impl IntoIterator<Item = u64>) {
        tags.into_iter()
            .for_each(|tag| acks.finished(DeliveryTag(tag)));
    }

    #[test]
    fn a_finished_run_goes_in_one_word() {
        let mut acks = with_tags(1..=6);
        finish(&mut acks, [3, 1, 2, 5]);
        assert_eq!(acks.take_leading(), Some((Ack::UpTo(DeliveryTag(3)), 3)));
        assert_eq!(acks.take_leading(), None);
        assert_eq!(acks.held_back(), 1);
        finish(&mut acks, [4]);
        assert_eq!(acks.take_leading(), Some((Ack::UpTo(DeliveryTag(5)), 2)));
        finish(&mut acks, [6]);
        assert_eq!(acks.take_leading(), Some((Ack::One(DeliveryTag(6)), 1)));
        assert_eq!(acks.oldest(), None);
    }

    #[test]
    fn an_answer_never_names_a_tag_that_was_acknowledged_before() {
        let mut acks = with_tags(1..=4);
        finish(&mut acks, [2, 4]);
        assert_eq!(
            acks.take_stragglers(),
            [Ack::One(DeliveryTag(2)), Ack::One(DeliveryTag(4))]
        );
        finish(&mut acks, [1, 3]);
        assert_eq!(acks.take_leading(), Some((Ack::UpTo(DeliveryTag(3)), 2)));
    }

    #[test]
    fn unknown_and_repeated_tags_change_nothing() {
        let mut acks = with_tags([10, 20]);
        finish(&mut acks, [5, 15, 20, 20]);
        assert_eq!((acks.take_leading(), acks.held_back()), (None, 1));
        finish(&mut acks, [10]);
        assert_eq!(acks.take_leading(), Some((Ack::UpTo(DeliveryTag(20)), 2)));
        finish(&mut acks, [10, 20]);
        assert_eq!((acks.take_leading(), acks.held_back()), (None, 0));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Come(u64),
        Finish(prop::sample::Index),
        Leading,
        Stragglers,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1_u64..4).prop_map(Step::Come),
            4 => any::<prop::sample::Index>().prop_map(Step::Finish),
            2 => Just(Step::Leading),
            1 => Just(Step::Stragglers),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// What a broker does: it refuses a tag that is not open.
    fn broker_hears(open: &mut BTreeSet<u64>, ack: Ack) -> Result<Vec<u64>, String> {
        let (Ack::One(DeliveryTag(tag)) | Ack::UpTo(DeliveryTag(tag))) = ack;
        if !open.contains(&tag) {
            return Err(format!("unknown delivery tag {tag}"));
        }
        let gone = match ack {
            Ack::One(_) => vec![tag],
            Ack::UpTo(_) => open.range(..=tag).copied().collect(),
        };
        open.retain(|tag| !gone.contains(tag));
        Ok(gone)
    }

    proptest! {
        #[test]
        fn only_finished_tags_are_acknowledged_and_each_once(steps in steps()) {
            let mut acks = Acks::default();
            let now = Instant::now();
            let mut last = 0;
            // The broker's side: not acknowledged. Ours: not finished.
            let (mut open, mut unfinished) = (BTreeSet::new(), BTreeSet::new());
            for step in steps.into_iter().chain([Step::Leading, Step::Stragglers]) {
                match step {
                    Step::Come(distance) => {
                        last += distance;
                        acks.came(DeliveryTag(last), now);
                        open.insert(last);
                        unfinished.insert(last);
                    }
                    Step::Finish(index) if !unfinished.is_empty() => {
                        let tag = *unfinished.iter().nth(index.index(unfinished.len())).unwrap();
                        unfinished.remove(&tag);
                        acks.finished(DeliveryTag(tag));
                    }
                    Step::Finish(_) => {}
                    Step::Leading => {
                        if let Some((ack, count)) = acks.take_leading() {
                            let gone = broker_hears(&mut open, ack).map_err(TestCaseError::fail)?;
                            prop_assert_eq!(gone.len(), count);
                            prop_assert!(gone.iter().all(|tag| !unfinished.contains(tag)));
                        }
                        // One word was enough for all that precede the lowest unfinished tag.
                        let lowest = unfinished.first().copied().unwrap_or(u64::MAX);
                        prop_assert!(open.range(..lowest).next().is_none());
                        prop_assert_eq!(acks.held_back(), open.len() - unfinished.len());
                    }
                    Step::Stragglers => {
                        for ack in acks.take_stragglers() {
                            let gone = broker_hears(&mut open, ack).map_err(TestCaseError::fail)?;
                            prop_assert!(gone.iter().all(|tag| !unfinished.contains(tag)));
                        }
                        prop_assert_eq!(&open, &unfinished);
                    }
                }
            }
            prop_assert_eq!(open, unfinished);
        }
    }
}
