//! One transaction: lock, judge, write, remember, commit.

use std::{collections::BTreeSet, mem, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    backend::{Failed, Span, Work},
    handlers,
    instance::{Instance, instances},
    item::{Done, Item},
    letters::Letters,
    obstacles::Refused,
    plans::PlanSet,
    references::WOKEN,
    tables,
};
use crate::{
    Applied, ApplyPolicy, LetterState, Model, Models, ReplicaStore,
    letter::{Fault, OtherLetter, Verdict},
};

/// What a batch is judged by.
#[derive(Debug)]
pub(super) struct Context<'c, S: ReplicaStore> {
    pub(super) models: &'c Models<S>,
    pub(super) policy: &'c ApplyPolicy,
    pub(super) plans: PlanSet,
}

/// Applies items in one transaction and commits. The answers are in the order given; those of
/// letters whose turn came through them follow.
pub(super) async fn run<'a, W: Work>(
    mut work: W,
    context: &Context<'_, W::Store>,
    mut items: Vec<Item<'a>>,
    mode: Mode,
) -> Result<Vec<Done<'a>>, Failed> {
    let repeated = matches!(mode, Mode::Together(Some(_)));
    let (alone, refused) = match mode {
        Mode::Together(refused) => (false, refused.unwrap_or_default()),
        Mode::Alone => (true, Refused::new()),
        Mode::Failed(fault) => (true, Refused::from([(0, fault)])),
    };
    let mut batch = Batch::load(&mut work, context, &items, refused).await?;
    batch.alone = alone;
    batch.repeated = repeated;
    for (at, item) in items.iter().enumerate() {
        batch.without_model(at, item);
    }
    tables::apply(&mut work, &mut batch, &items).await?;
    handlers::apply(&mut work, &mut batch, &mut items).await?;
    batch.save(&mut work, &items).await?;
    work.commit().await?;
    Ok(batch.finish(items))
}

/// How a batch is applied.
#[derive(Debug)]
pub(super) enum Mode {
    /// As a whole, but for what has failed already if it is repeated because rows were in each other's
    /// way; letters whose turn comes are taken up too.
    Together(Option<Refused>),
    /// One item and nothing else, so that a failure of the transaction is its own.
    Alone,
    /// One item that would apply, but has failed already for this reason.
    Failed(Fault),
}

/// A batch in hand.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub(super) struct Batch<'c, S: ReplicaStore> {
    pub(super) context: &'c Context<'c, S>,
    /// The database's time.
    pub(super) now: DateTime<Utc>,
    pub(super) instances: Vec<Instance>,
    pub(super) slots: Vec<Slot>,
    /// Letters that are done with, of messages that have an id.
    pub(super) closed: Vec<OtherLetter>,
    /// What items that would apply fail for.
    pub(super) refused: Refused,
    /// Whether the queue had open letters when the instances were locked.
    open_letters: bool,
    /// Since when a worker may have had messages that it is not done with, as far as anybody asked.
    pub(super) held_since: Option<DateTime<Utc>>,
    /// Whether no letters are taken up.
    pub(super) alone: bool,
    /// Whether rows were in each other's way before.
    pub(super) repeated: bool,
    /// Waiting letters whose turn has come.
    pub(super) wake: Vec<i64>,
    /// How many waiting letters were taken up because their turn had come.
    pub(super) brought: usize,
    /// Instances whose table rows hold a state of this revision.
    pub(super) superseded: Vec<(usize, i64)>,
    /// Instances whose rows have come, changed or gone, as letters name them that wait for them.
    pub(super) arrived: BTreeSet<String>,
    /// Whether letters were made due that had waited for those.
    woke: bool,
}

/// What is decided about an item.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) instance: Option<usize>,
    pub(super) answer: Option<Applied>,
    pub(super) verdict: Option<Verdict>,
    /// Whether it was kept already, and nothing is done about it.
    pub(super) kept_before: bool,
}

/// What to do with an item.
pub(super) enum Ruling {
    Apply {
        gap: u64,
        expired: bool,
    },
    Fail(Fault),
    /// Its model is paused, for this reason.
    Hold(String),
    Wait,
    /// Nothing more.
    Settled,
}

impl<'c, S: ReplicaStore> Batch<'c, S> {
    async fn load<W: Work<Store = S>>(
        work: &mut W,
        context: &'c Context<'c, S>,
        items: &[Item<'_>],
        refused: Refused,
    ) -> Result<Self, Failed> {
        let queue = &context.policy.queue;
        // What is waited for is locked too: it cannot come unnoticed until the letter is written.
        let waited_for = refused
            .values()
            .filter_map(|fault| fault.waits_for.as_ref());
        let (ids, places) = instances(items, waited_for);
        let locked = work.lock(queue, &ids).await?;
        let mut batch = Self {
            context,
            now: locked.now,
            instances: Vec::with_capacity(ids.len()),
            slots: places
                .iter()
                .map(|&instance| Slot {
                    instance,
                    ..Slot::default()
                })
                .collect(),
            closed: Vec::new(),
            refused,
            open_letters: locked.open_letters,
            held_since: Some(DateTime::UNIX_EPOCH),
            alone: false,
            repeated: false,
            wake: Vec::new(),
            brought: 0,
            superseded: Vec::new(),
            arrived: BTreeSet::new(),
            woke: false,
        };
        for (id, known) in ids.into_iter().zip(locked.known) {
            batch.instances.push(Instance {
                id,
                known,
                changed: false,
                others: Vec::new(),
                dead: None,
            });
        }
        if items.iter().any(|item| item.letter().is_some()) {
            batch.held_since = work.held_since(queue).await?;
        }
        for (instance, letter) in batch.others(work, items, locked.closed_letters).await? {
            match instance {
                Some(at) => {
                    // One that matters in two ways comes twice, once with its body.
                    let others = &mut batch.instances[at].others;
                    match others.iter_mut().find(|other| other.id == letter.id) {
                        Some(other) => other.body = other.body.take().or(letter.body),
                        None => others.push(letter),
                    }
                }
                None if matches!(letter.state, LetterState::Dead | LetterState::Discarded) => {
                    batch.closed.push(letter);
                }
                None => {}
            }
        }
        Ok(batch)
    }

    /// The letters that may matter to these items: most of the time the queue has none at all.
    async fn others<W: Work<Store = S>>(
        &self,
        work: &mut W,
        items: &[Item<'_>],
        closed_letters: bool,
    ) -> Result<Vec<(Option<usize>, OtherLetter)>, Failed> {
        let spans = if self.open_letters {
            self.spans(items)
        } else {
            Vec::new()
        };
        let messages: Vec<Uuid> = items
            .iter()
            .filter(|item| (closed_letters || self.open_letters) && item.letter().is_none())
            .filter_map(|item| item.incoming().message_id)
            .collect();
        if spans.is_empty() && messages.is_empty() {
            return Ok(Vec::new());
        }
        let queue = &self.context.policy.queue;
        Ok(work.others(queue, &spans, &messages).await?)
    }

    /// Which letters of the instances may matter to these items.
    fn spans(&self, items: &[Item<'_>]) -> Vec<Span<'_>> {
        let mut spans: Vec<Span<'_>> = self
            .instances
            .iter()
            .map(|instance| Span {
                instance: &instance.id,
                known: instance.revision(),
                low: i64::MAX,
                high: i64::MIN,
            })
            .collect();
        for (slot, item) in self.slots.iter().zip(items) {
            if let (Some(at), Some(event)) = (slot.instance, item.event()) {
                let span = &mut spans[at];
                span.low = span.low.min(event.revision.0);
                // The letter after it may have waited for it.
                span.high = span.high.max(event.revision.0.saturating_add(1));
            }
        }
        spans
    }

    /// The model of an item that this worker can apply.
    pub(super) fn model(&self, item: &Item<'_>) -> Option<&'c Model<S>> {
        self.context.models.get(&item.event()?.cqrs_id)
    }

    /// The database's time in a while.
    pub(super) fn after(&self, delay: Duration) -> DateTime<Utc> {
        TimeDelta::from_std(delay)
            .ok()
            .and_then(|delay| self.now.checked_add_signed(delay))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
            .min(DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(self.now))
    }

    /// Writes what was decided.
    async fn save<W: Work<Store = S>>(
        &mut self,
        work: &mut W,
        items: &[Item<'_>],
    ) -> Result<(), Failed> {
        let queue = &self.context.policy.queue;
        let states: Vec<_> = self
            .instances
            .iter()
            .filter(|instance| instance.changed)
            .filter_map(|instance| Some((&instance.id, instance.known.as_ref()?)))
            .collect();
        if !states.is_empty() {
            work.save(queue, &states).await?;
        }
        let mut letters = Letters::default();
        for (slot, item) in self.slots.iter().zip(items) {
            letters.add(slot, item);
        }
        letters.write(work, queue).await?;
        if !self.wake.is_empty() {
            work.wake(&self.wake).await?;
        }
        if !self.open_letters && !letters.has_new() {
            return Ok(());
        }
        if !self.superseded.is_empty() {
            let applied: Vec<_> = self
                .superseded
                .iter()
                .map(|&(place, revision)| (&self.instances[place].id, revision))
                .collect();
            work.supersede(queue, &applied).await?;
        }
        if !self.arrived.is_empty() {
            let arrived: Vec<String> = mem::take(&mut self.arrived).into_iter().collect();
            self.woke = work.wake_referring(queue, &arrived, WOKEN).await? > 0;
        }
        Ok(())
    }

    fn finish(mut self, items: Vec<Item<'_>>) -> Vec<Done<'_>> {
        mem::take(&mut self.slots)
            .into_iter()
            .zip(items)
            .filter_map(|(slot, item)| {
                let model = self.model(&item);
                Some(Done {
                    in_step: model.is_some_and(|model| model.target.in_step()),
                    item,
                    applied: slot.answer?,
                    kept_before: slot.kept_before,
                    woke: self.woke,
                    error: slot.verdict.and_then(|verdict| verdict.error),
                })
            })
            .collect()
    }
}
