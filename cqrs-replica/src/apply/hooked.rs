//! Calling a table's hooks: to whoever calls it, a hook is a handler.

use std::{future::Future, pin::Pin, time::Duration};

use cqrs_core::Event;

use super::{
    backend::{Failed, Work},
    plans::PlanSet,
};
use crate::{Failure, ReplicaStore, Step, handler::DynHandler, hooks::DynHooks, letter::Fault};

/// The hooks to call, and what with.
pub(super) struct Called<'c, S: ReplicaStore> {
    pub(super) hooks: &'c dyn DynHooks<S>,
    pub(super) event: &'c Event,
    pub(super) creates: bool,
    pub(super) timeout: Option<Duration>,
}

/// Gives an event to the hook for it. Answers as [`Work::handle`] does.
pub(super) async fn call<W: Work>(
    work: &mut W,
    plans: &PlanSet,
    called: Called<'_, W::Store>,
) -> Result<Result<(), Fault>, Failed> {
    let Called {
        hooks,
        event,
        creates,
        timeout,
    } = called;
    let plan = match plans.get(&event.cqrs_id) {
        Ok(plan) => plan,
        Err(problem) => return Ok(Err(Fault::table(problem))),
    };
    let recent = plans.is_recent(&event.cqrs_id);
    let writer = work.writer(timeout);
    let step = Step::new(event, creates, (plan, recent), &writer);
    work.handle(&Hook { hooks, step }, event, timeout).await
}

struct Hook<'h, S: ReplicaStore> {
    hooks: &'h dyn DynHooks<S>,
    step: Step<'h, S>,
}

impl<S: ReplicaStore> DynHandler<S> for Hook<'_, S> {
    fn apply<'a>(
        &'a self,
        tx: &'a mut S::Connection,
        _event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        self.hooks.call(tx, &self.step)
    }
}
