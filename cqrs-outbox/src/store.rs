//! The outbox as the relay sees it.
//!
//! An [`OutboxStore`] is a database's address: cheap to clone, connecting to nothing by itself. An
//! [`OutboxSession`] owns one plain connection. Every method writes in a single autocommitted
//! statement or a single transaction, so a dropped call either took effect as a whole or not at all
//! ([`OutboxSession::dead_retry`] works in batches, each of which is whole).
//!
//! After any error a session is done for: drop it, wait as a retry policy says, open another, and
//! forget every row that was fetched and not settled. ([`StoreError::Conflict`] alone leaves the
//! session usable.)

mod census;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod columns;
mod dead;
mod position;
mod row;
mod settlement;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod unreadable;

use std::{fmt::Debug, future::Future, time::Duration};

use cqrs_core::{CqrsId, Slot, StoreError};

pub use census::{Census, Epoch, Lease, Owner, RelayBeat};
pub use dead::{DeadRow, Retried};
pub use position::{Fetched, Position};
pub use row::{Backlog, Counted, Due, Instance, OutboxRow, RowRef};
pub use settlement::{Buried, DeadReason, Postponed, Settled, Settlement};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use dead::DEAD_BATCH;
#[cfg(feature = "postgres")]
pub(crate) use position::{FETCH_AHEAD, Passed};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use position::{FETCH_BYTES, FETCH_SCAN};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use row::MOST_COUNTED;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use settlement::kept_error;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use unreadable::{ReadRows, Unreadable};

/// A database that holds an outbox.
pub trait OutboxStore: Clone + Debug + Send + Sync + 'static {
    /// A connection to it.
    type Session: OutboxSession;

    /// Connects, and refuses a schema that this program does not know.
    ///
    /// Cancellation: safe.
    fn session(&self) -> impl Future<Output = Result<Self::Session, StoreError>> + Send;
}

/// One connection of a relay. Not shared between tasks.
pub trait OutboxSession: Send + 'static {
    /// Renews this relay's heartbeat for `lease` from now on the database's clock, says whether it
    /// can do its work, and looks around: all relays and all slots, as they are after the renewal.
    ///
    /// A heartbeat that had run out before it was renewed costs its owner every slot: they stand
    /// free in the census, under new epochs. So whoever is in this census as a holder cannot have
    /// been judged dead by a peer that has not acted on it yet.
    fn beat(
        &mut self,
        owner: Owner,
        lease: Duration,
        publishing: bool,
    ) -> impl Future<Output = Result<Census, StoreError>> + Send;

    /// How long a renewal may take. One that comes later than the lease is of little use, and on a
    /// connection that is half open it never comes.
    fn renewal_limit(&self, lease: Duration) -> Duration {
        lease.max(Duration::from_secs(1))
    }

    /// Takes over slots, each only if its epoch is still the one seen in the last census of this
    /// session, and only if its holder has not renewed its heartbeat since. The caller has judged
    /// them free. Answers with those it got, under their new epochs.
    fn acquire(
        &mut self,
        owner: Owner,
        seen: &[(Slot, Epoch)],
    ) -> impl Future<Output = Result<Vec<(Slot, Epoch)>, StoreError>> + Send;

    /// Gives slots back, those that are still held under these epochs. No row of theirs may be
    /// with a publisher any more.
    fn release(
        &mut self,
        owner: Owner,
        held: &[(Slot, Epoch)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives everything back and forgets the relay: the end of a good shutdown.
    fn retire(&mut self, owner: Owner) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The next rows of these slots, in id order within each instance: those of a large transaction
    /// do not hold up the rows of others that came after it.
    ///
    /// Misses no row however late its transaction commits. Repeats none between calls that pass
    /// the position of the call before; [`Position::START`] begins anew and returns everything
    /// still there. A series of calls may go on with fewer slots, but one that gains a slot begins
    /// at [`Position::START`]: a position says nothing about rows of slots it was not asked for.
    ///
    /// Rows that wait for a retry are left out (see [`Self::due`]); later rows of the same
    /// instances are not: the caller drops them ([`Self::blocked`], called first, names those
    /// instances at the start) and, when the waiting row is settled, reads them again with
    /// [`Self::of_instances`].
    ///
    /// A row that cannot be read is not returned: it is moved to the dead rows, as
    /// [`DeadReason::Unreadable`]. [`Self::due`] and [`Self::of_instances`] do the same.
    ///
    /// At most `limit` rows, and fewer when their bodies are large or when other slots' rows lie
    /// between: [`Fetched::more`] says whether it is worth asking again at once.
    fn fetch(
        &mut self,
        slots: &[Slot],
        after: &Position,
        limit: usize,
    ) -> impl Future<Output = Result<Fetched, StoreError>> + Send {
        self.fetch_without(&[], slots, after, limit)
    }

    /// Like [`Self::fetch`], but passes over all rows of these models, whose bodies it does not read.
    /// A series may go on with more of them; one that has a model again begins at
    /// [`Position::START`].
    fn fetch_without(
        &mut self,
        models: &[CqrsId],
        slots: &[Slot],
        after: &Position,
        limit: usize,
    ) -> impl Future<Output = Result<Fetched, StoreError>> + Send;

    /// The instances of these slots that have a row waiting for a retry.
    fn blocked(
        &mut self,
        slots: &[Slot],
    ) -> impl Future<Output = Result<Vec<Instance>, StoreError>> + Send;

    /// Rows of these slots whose retry is due now, oldest due first; and how long until the next
    /// one, if the answer holds them all.
    fn due(
        &mut self,
        slots: &[Slot],
        limit: usize,
    ) -> impl Future<Output = Result<Due, StoreError>> + Send;

    /// All rows of these instances that do not wait for a retry, in id order, `limit` at most.
    ///
    /// They know nothing of any [`Position`]: rows that no fetch has returned yet are among them,
    /// and a later fetch returns those again.
    fn of_instances(
        &mut self,
        instances: &[Instance],
        limit: usize,
    ) -> impl Future<Output = Result<Vec<OutboxRow>, StoreError>> + Send;

    /// Writes what became of rows, all of it in one transaction, and tells which of the slots are
    /// no longer held under these epochs. Rows are named by id and message id, each at most once;
    /// one that is gone is not an error (another relay settled it), but is not counted.
    ///
    /// `held` names every slot the settled rows are of. A row is put off only while its slot is
    /// held: were it put off after a new holder has asked for [`Self::blocked`], the new holder's
    /// fetch would pass over it and send a later row of its instance first.
    fn settle(
        &mut self,
        settlement: &Settlement,
        held: &[(Slot, Epoch)],
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// The size of the backlog; answers quickly, however large it is.
    fn backlog(&mut self) -> impl Future<Output = Result<Backlog, StoreError>> + Send;

    /// Dead rows, newest first.
    fn dead_list(
        &mut self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadRow>, StoreError>> + Send;

    /// One dead row.
    fn dead_show(
        &mut self,
        id: i64,
    ) -> impl Future<Output = Result<Option<DeadRow>, StoreError>> + Send;

    /// Puts dead rows back into the outbox under new ids, with no attempts counted. One whose
    /// instance has had a later revision since is only marked superseded, unless `force`. One whose
    /// time to live has run out gets none, in the table and in its body: it would only expire
    /// again, here or at the replica. `None`: all of them.
    fn dead_retry(
        &mut self,
        ids: Option<&[i64]>,
        force: bool,
    ) -> impl Future<Output = Result<Retried, StoreError>> + Send;

    /// Deletes dead rows; answers how many. `None`: all of them.
    fn dead_discard(
        &mut self,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Ends the connection in good order.
    fn close(self) -> impl Future<Output = ()> + Send;
}
