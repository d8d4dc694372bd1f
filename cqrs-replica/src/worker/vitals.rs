//! What the tasks of a worker tell its heartbeat.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;

/// The state of a worker, as its heartbeat reports it. Shared by its tasks.
#[derive(Debug)]
pub(crate) struct Vitals {
    oldest_unacked: Mutex<Option<Instant>>,
    in_hand: AtomicUsize,
    /// Whether the queue was found gone and the database does not know yet.
    loss: watch::Sender<bool>,
}

impl Vitals {
    pub(crate) fn new() -> Self {
        Self {
            oldest_unacked: Mutex::default(),
            in_hand: AtomicUsize::new(0),
            loss: watch::Sender::new(false),
        }
    }

    /// When the oldest message came that is not acknowledged.
    pub(crate) fn oldest_unacked(&self) -> Option<Instant> {
        *self
            .oldest_unacked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_oldest_unacked(&self, came: Option<Instant>) {
        *self
            .oldest_unacked
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = came;
    }

    /// How many messages the lanes hold.
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    pub(crate) fn set_in_hand(&self, messages: usize) {
        self.in_hand.store(messages, Ordering::Relaxed);
    }

    /// The queue was found gone.
    pub(crate) fn queue_gone(&self) {
        self.loss.send_replace(true);
    }

    /// A beat with `needs_reconcile` has reached the database.
    pub(crate) fn loss_reported(&self) {
        self.loss.send_replace(false);
    }

    /// Whether the database has still to hear that the queue is gone.
    pub(crate) fn loss_unreported(&self) -> bool {
        *self.loss.borrow()
    }

    /// Returns when there is a loss that the database has to hear of.
    pub(crate) async fn loss(&self) {
        self.wait_for(true).await;
    }

    /// Returns when the database has heard of every loss.
    pub(crate) async fn no_loss_unreported(&self) {
        self.wait_for(false).await;
    }

    async fn wait_for(&self, unreported: bool) {
        // The sender is ours, so the channel is not closed.
        drop(
            self.loss
                .subscribe()
                .wait_for(|loss| *loss == unreported)
                .await,
        );
    }
}
