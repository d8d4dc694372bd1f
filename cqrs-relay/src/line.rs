//! A supervised session of the store.

use std::time::Duration;

use cqrs_core::StoreError;
use cqrs_outbox::OutboxStore;

use crate::{RelayError, outage::Contact};

/// Makes sessions, each after the pause that the failures so far demand.
#[derive(Debug)]
pub(crate) struct Line<S> {
    store: S,
    pub(crate) contact: Contact,
}

impl<S: OutboxStore> Line<S> {
    pub(crate) const fn new(store: S, contact: Contact) -> Self {
        Self { store, contact }
    }

    /// A session, however long it takes. Cancellation: safe.
    ///
    /// # Errors
    /// Only before this line has ever worked, and only those that repeating does not help.
    pub(crate) async fn session(&mut self) -> Result<S::Session, RelayError> {
        loop {
            self.contact.pause().await;
            match self.store.session().await {
                Ok(session) => {
                    self.contact.connected();
                    return Ok(session);
                }
                Err(error) if !self.contact.is_proven() && is_final(&error) => {
                    return Err(RelayError::Store(error));
                }
                Err(error) => self.contact.lost(&error),
            }
        }
    }
}

const fn is_final(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Misconfigured { .. } | StoreError::Schema { .. }
    )
}

/// The pauses before a statement that lost against a concurrent one is repeated; after the last it
/// counts as a lost connection.
pub(crate) const CONFLICT_PAUSES: [Duration; 6] = {
    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
    [ms(2), ms(5), ms(10), ms(50), ms(200), ms(500)]
};
