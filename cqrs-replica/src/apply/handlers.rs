//! The items of handlers, and of tables with hooks: judged and called one after the other.

use std::collections::{HashMap, VecDeque};

use cqrs_core::Event;

use super::{
    backend::{Failed, Work},
    batch::{Batch, Ruling, Slot},
    hooked::{self, Called},
    item::Item,
};
use crate::{
    Model,
    letter::{Fault, Then},
    model::Target,
};

/// How many waiting letters are taken up at a time when their turn has come. A transaction takes up
/// no more once it has brought as many.
const RUN: usize = 64;

/// Applies the items of handlers, instance by instance. Letters whose turn comes are taken up,
/// applied and appended to the items.
pub(super) async fn apply<W: Work>(
    work: &mut W,
    batch: &mut Batch<'_, W::Store>,
    items: &mut Vec<Item<'_>>,
) -> Result<(), Failed> {
    for (instance, line) in lines(batch, items) {
        let Some(model) = line.first().and_then(|&at| batch.model(&items[at])) else {
            continue;
        };
        let line = Line {
            instance,
            in_step: model.target.in_step(),
            queue: line.into(),
            held: Vec::new(),
            more: false,
        };
        line.run(work, batch, items, model).await?;
    }
    Ok(())
}

/// The items of handlers by instance, in the order in which the instances come first; those of an
/// instance in the order in which they are best judged.
fn lines<S: crate::ReplicaStore>(
    batch: &Batch<'_, S>,
    items: &[Item<'_>],
) -> Vec<(usize, Vec<usize>)> {
    let mut place: HashMap<usize, usize> = HashMap::new();
    let mut lines: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut sorted: Vec<bool> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Some(model) = batch.model(item) else {
            continue;
        };
        let (false, Some(instance)) = (
            matches!(model.target, Target::Table(_)),
            batch.slots[at].instance,
        ) else {
            continue;
        };
        let line = *place.entry(instance).or_insert_with(|| {
            lines.push((instance, Vec::new()));
            lines.len() - 1
        });
        lines[line].1.push(at);
        sorted.resize(lines.len(), model.target.in_step());
        // A master that does not count may begin again at 0: the order given says more.
        sorted[line] &= item.incoming().headers.counted;
    }
    for ((_, line), sorted) in lines.iter_mut().zip(sorted) {
        if sorted {
            // Stable: what has the same revision keeps the order given.
            line.sort_by_key(|&at| items[at].event().map(|event| event.revision));
        }
    }
    lines
}

/// The items of one instance.
struct Line {
    instance: usize,
    in_step: bool,
    /// Those to judge next.
    queue: VecDeque<usize>,
    /// Those whose turn has not come.
    held: Vec<usize>,
    /// Whether the last letters taken up may not have been all that wait.
    more: bool,
}

impl Line {
    async fn run<W: Work>(
        mut self,
        work: &mut W,
        batch: &mut Batch<'_, W::Store>,
        items: &mut Vec<Item<'_>>,
        model: &Model<W::Store>,
    ) -> Result<(), Failed> {
        while let Some(at) = self.queue.pop_front() {
            let item = &items[at];
            match batch.rule(at, item, model) {
                Ruling::Apply { gap, expired } => {
                    let Some(event) = item.event() else { continue };
                    match self.call(work, batch, model, event).await? {
                        Ok(()) => {
                            batch.applied(at, item, gap, expired);
                            if let Ok(plan) = batch.context.plans.get(&event.cqrs_id) {
                                batch.arrived(at, item, plan);
                            }
                            if self.in_step {
                                self.advance(work, batch, items).await?;
                            }
                        }
                        Err(fault) => batch.fail(at, item, fault),
                    }
                }
                Ruling::Fail(fault) => batch.fail(at, item, fault),
                Ruling::Hold(why) => batch.hold(at, item, why),
                Ruling::Wait => self.held.push(at),
                Ruling::Settled => {}
            }
        }
        for at in self.held {
            batch.wait(at, &items[at]);
        }
        Ok(())
    }

    /// Calls the user's code.
    async fn call<W: Work>(
        &self,
        work: &mut W,
        batch: &Batch<'_, W::Store>,
        model: &Model<W::Store>,
        event: &Event,
    ) -> Result<Result<(), Fault>, Failed> {
        let mut called = self.call_now(work, batch, model, event).await;
        match &mut called {
            Ok(_) => model.breaker.answered(),
            Err(Failed::Fault { lost: true, fault }) if model.breaker.hung(&event.key) => {
                fault.then = Then::Held;
            }
            Err(_) => {}
        }
        called
    }

    async fn call_now<W: Work>(
        &self,
        work: &mut W,
        batch: &Batch<'_, W::Store>,
        model: &Model<W::Store>,
        event: &Event,
    ) -> Result<Result<(), Fault>, Failed> {
        match &model.target {
            Target::Handler { handler, .. } => {
                let timeout = model.statement_timeout;
                work.handle(&**handler, event, timeout).await
            }
            Target::Hooked { hooks, .. } => {
                let known = batch.instances[self.instance].known.as_ref();
                let creates = known.is_none_or(|known| known.deleted);
                let called = Called {
                    hooks: &**hooks,
                    event,
                    creates,
                    timeout: model.statement_timeout,
                };
                hooked::call(work, &batch.context.plans, called).await
            }
            // Written set by set.
            Target::Table(_) => Ok(Ok(())),
        }
    }

    /// Brings forward what has waited for the revision just applied.
    async fn advance<W: Work>(
        &mut self,
        work: &mut W,
        batch: &mut Batch<'_, W::Store>,
        items: &mut Vec<Item<'_>>,
    ) -> Result<(), Failed> {
        let next = batch.instances[self.instance].next();
        let revision = |at: usize| items[at].event().map(|event| event.revision.0);
        if let Some(place) = self.held.iter().position(|&at| revision(at) == Some(next)) {
            let at = self.held.remove(place);
            self.queue.push_front(at);
            return Ok(());
        }
        let has = |id: i64| {
            items
                .iter()
                .any(|item| item.letter().is_some_and(|l| l.id == id))
        };
        // A letter comes before what was delivered again and is only kept in it.
        let waiting = batch.instances[self.instance]
            .waiting_next()
            .filter(|&id| !has(id));
        if batch.alone {
            batch.wake.extend(waiting);
            return Ok(());
        }
        let in_queue = self.queue.iter().any(|&at| revision(at) == Some(next));
        if waiting.is_none() && (in_queue || !self.more) {
            return Ok(());
        }
        let queue = &batch.context.policy.queue;
        let id = &batch.instances[self.instance].id;
        if batch.brought >= RUN {
            // This transaction has become long enough: the letters' turn comes in others.
            let next = work.take_run(queue, id, next, 1).await?;
            batch.wake.extend(next.iter().map(|letter| letter.id));
            self.more = false;
            return Ok(());
        }
        let run = work.take_run(queue, id, next, RUN).await?;
        self.more = run.len() == RUN;
        batch.brought += run.len();
        for letter in run.into_iter().rev() {
            // A letter of this batch was judged already, and is in the line or held.
            if items
                .iter()
                .any(|item| item.letter().is_some_and(|other| other.id == letter.id))
            {
                continue;
            }
            self.queue.push_front(items.len());
            items.push(Item::Letter(Box::new(letter)));
            batch.slots.push(Slot {
                instance: Some(self.instance),
                ..Slot::default()
            });
        }
        Ok(())
    }
}
