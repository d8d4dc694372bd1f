//! `run --workers N`: processes of this same program, one worker each, that are started again when
//! they end.
//!
//! Parent and child hold the two ends of a socket, which is the child's stdin. The child says there
//! that its worker has started. Its end means that the parent is gone, or asks to finish: either way
//! the child drains. Unlike a signal it cannot come too early, and nothing is left behind by a parent
//! that is killed.

mod outlook;
mod parent;
mod program;
mod slot;

use std::{convert::Infallible, num::NonZeroU16, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use cqrs_core::cli::{Hangups, Signals};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub(super) use self::parent::Parent;
use self::{
    outlook::{EARLY_ENDS, Outlook},
    program::Program,
    slot::Slot,
};
use crate::Shutdown;

/// What a child may take beyond its own `drain_timeout` before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Starts the workers and keeps them running until a signal says stop. SIGHUP replaces them one
/// after the other.
///
/// # Errors
/// No worker has ever run for long, or one did not stop well.
///
/// # Cancellation
/// The children are killed.
pub(super) async fn supervise(
    count: NonZeroU16,
    drain_timeout: Duration,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let mut hangups = Hangups::new()?;
    let program = Arc::new(Program::own().context("finding this program's own file")?);
    let shutdown = Shutdown::new();
    let outlook = Arc::new(Outlook::new(count, shutdown.drain.clone()));
    let mut running = JoinSet::new();
    let mut orders = Vec::new();
    for number in 1..=count.get() {
        let (order, taken) = mpsc::channel(1);
        orders.push(order);
        let slot = Slot::new(number, Arc::clone(&program), Arc::clone(&outlook), taken);
        running.spawn(slot.run(drain_timeout + GRACE, shutdown.clone()));
    }
    let stopped_badly = tokio::select! {
        ended = all(&mut running) => ended?,
        never = signals.stop(&shutdown) => match never {},
        never = reload(&mut hangups, &orders, &shutdown) => match never {},
    };
    if outlook.is_hopeless() {
        bail!("each worker has ended {EARLY_ENDS} times in a row, and none has run for long");
    }
    if stopped_badly > 0 {
        bail!("{stopped_badly} of {count} workers did not stop well; their messages come again");
    }
    tracing::info!("all workers have finished");
    Ok(())
}

/// Waits for all slots; how many had a worker that did not stop well.
async fn all(running: &mut JoinSet<bool>) -> anyhow::Result<usize> {
    let mut stopped_badly = 0;
    while let Some(well) = running.join_next().await {
        if !well.context("the supervision of a worker has panicked")? {
            stopped_badly += 1;
        }
    }
    Ok(stopped_badly)
}

/// An order to a slot to replace its worker; the answer is whether the new one has started.
type Replace = oneshot::Sender<bool>;

async fn reload(
    hangups: &mut Hangups,
    orders: &[mpsc::Sender<Replace>],
    shutdown: &Shutdown,
) -> Infallible {
    loop {
        hangups.next().await;
        tracing::info!("SIGHUP: replacing the workers, one after the other");
        if replace_all(orders).await {
            tracing::info!("all workers have been replaced");
        } else if !shutdown.drain.is_cancelled() {
            tracing::error!("a new worker did not start: the rest are left as they are");
        }
    }
}

async fn replace_all(orders: &[mpsc::Sender<Replace>]) -> bool {
    for order in orders {
        let (replace, started) = oneshot::channel();
        if order.send(replace).await.is_err() || !started.await.unwrap_or(false) {
            return false;
        }
    }
    true
}
