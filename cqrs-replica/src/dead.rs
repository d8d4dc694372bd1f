//! Messages that could not be applied: `cqrs-replica dead`.
//!
//! Each function opens a session, does one thing and closes it.
//!
//! ```no_run
//! use cqrs_replica::{LetterState, ReplicaStore, dead};
//!
//! # async fn example(store: impl ReplicaStore, queue: cqrs_core::QueueName) -> Result<(), Box<dyn std::error::Error>> {
//! let letters = dead::list(&store, &queue, Some(LetterState::Dead), 20).await?;
//! println!("{}", dead::Listing::from(letters));
//! # Ok(())
//! # }
//! ```

mod broker;
mod shown;

pub use broker::{BrokerLetter, BrokerListing, ImportError, broker_import, broker_list};
pub use shown::{Body, Listing, Shown, ShownWithBody};

use cqrs_core::{QueueName, StoreError};

use crate::{Letter, LetterState, ReplicaSession, ReplicaStore};

/// Which letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those with these ids.
    Ids(Vec<i64>),
    /// All dead ones.
    All,
}

impl Which {
    fn ids(&self) -> Option<&[i64]> {
        match self {
            Self::Ids(ids) => Some(ids),
            Self::All => None,
        }
    }
}

/// Letters, newest first. `None`: in any state.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn list<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    state: Option<LetterState>,
    limit: usize,
) -> Result<Vec<Letter>, StoreError> {
    let mut session = store.session().await?;
    let letters = session.letter_list(queue, state, limit).await?;
    session.close().await;
    Ok(letters)
}

/// One letter.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn show<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    id: i64,
) -> Result<Option<Letter>, StoreError> {
    let mut session = store.session().await?;
    let letter = session.letter_show(queue, id).await?;
    session.close().await;
    Ok(letter)
}

/// Makes dead letters, and those in backoff, due now; a running worker takes them up within a
/// second. Answers how many.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: it may have been done; do it again.
pub async fn retry<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
) -> Result<u64, StoreError> {
    let mut session = store.session().await?;
    let retried = session.letter_retry(queue, which.ids()).await?;
    session.close().await;
    Ok(retried)
}

/// Marks dead letters discarded: nothing is done about them any more. Answers how many.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: it may have been done; do it again.
pub async fn discard<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
) -> Result<u64, StoreError> {
    let mut session = store.session().await?;
    let discarded = session.letter_discard(queue, which.ids()).await?;
    session.close().await;
    Ok(discarded)
}
