//! Messages that could not be applied: `cqrs-replica dead-letters`.
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
mod groups;
mod shown;
mod waiting;

pub use broker::{BrokerLetter, BrokerListing, ImportError, broker_import, broker_list};
pub use groups::{Group, Groups};
pub use shown::{Body, Listing, Shown, ShownWithBody};
pub use waiting::{Retried, retry_and_wait};

use cqrs_core::{QueueName, StoreError};

use crate::{Letter, LetterFilter, LetterState, ReplicaSession, ReplicaStore};

/// Which letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those with these ids.
    Ids(Vec<i64>),
    /// All dead ones.
    All,
    /// Those that meet this, and are dead unless it names another state.
    Matching(LetterFilter),
}

/// How many letters are dealt with at a time.
const PAGE: usize = 500;

/// Letters that meet a filter, oldest first, some at a time.
///
/// # Errors
/// A failure of the database, or of `on`.
///
/// Cancellation: safe.
pub async fn each<S: ReplicaStore, E: From<StoreError>>(
    store: &S,
    queue: &QueueName,
    filter: &LetterFilter,
    mut on: impl FnMut(Vec<Letter>) -> Result<(), E>,
) -> Result<(), E> {
    let mut session = store.session().await?;
    let mut after = 0;
    loop {
        let page = session.letter_page(queue, filter, after, PAGE).await?;
        match page.last() {
            Some(last) => after = last.id,
            None => break,
        }
        on(page)?;
    }
    session.close().await;
    Ok(())
}

/// The numbers of letters that are meant; `None` for all dead ones.
async fn ids<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
) -> Result<Option<Vec<i64>>, StoreError> {
    let filter = match which {
        Which::Ids(ids) => return Ok(Some(ids.clone())),
        Which::All => return Ok(None),
        Which::Matching(filter) => filter,
    };
    let filter = LetterFilter {
        state: filter.state.or(Some(LetterState::Dead)),
        ..filter.clone()
    };
    let mut ids = Vec::new();
    let all = each(store, queue, &filter, |page| {
        ids.extend(page.iter().map(|letter| letter.id));
        Ok::<_, StoreError>(())
    });
    all.await?;
    Ok(Some(ids))
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

/// Letters by the way in which they failed, the largest group first.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn groups<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    filter: &LetterFilter,
) -> Result<Groups, StoreError> {
    let mut session = store.session().await?;
    let groups = session.letter_groups(queue, filter, None).await?;
    session.close().await;
    Ok(groups.into())
}

/// Queues dead letters for another attempt, and named ones also from backoff or when they were discarded; a running
/// worker takes them up within a second. Answers how many.
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
    let ids = ids(store, queue, which).await?;
    let mut session = store.session().await?;
    let retried = session.letter_retry(queue, ids.as_deref()).await?;
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
    let ids = ids(store, queue, which).await?;
    let mut session = store.session().await?;
    let discarded = session.letter_discard(queue, ids.as_deref()).await?;
    session.close().await;
    Ok(discarded)
}

/// How many letters [`purge`] would delete, as far as that is known before.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: safe.
pub async fn count<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
) -> Result<u64, StoreError> {
    Ok(purgeable(store, queue, which).await?.len() as u64)
}

/// Deletes letters that are dead or done with, for good: unlike discarded ones they cannot be looked at
/// any more, and a message that comes once more is judged anew. Answers how many.
///
/// # Errors
/// A failure of the database.
///
/// Cancellation: some may have been deleted; do it again.
pub async fn purge<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
) -> Result<u64, StoreError> {
    let ids = purgeable(store, queue, which).await?;
    let mut session = store.session().await?;
    let mut purged = 0;
    for ids in ids.chunks(PAGE) {
        purged += session.letter_purge(queue, ids).await?;
    }
    session.close().await;
    Ok(purged)
}

async fn purgeable<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
) -> Result<Vec<i64>, StoreError> {
    let all = Which::Matching(LetterFilter::default());
    let which = if *which == Which::All { &all } else { which };
    Ok(ids(store, queue, which).await?.unwrap_or_default())
}
