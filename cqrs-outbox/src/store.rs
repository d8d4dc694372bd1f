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

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod columns;

use std::{fmt::Debug, future::Future, ops::AddAssign, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{CqrsId, QueueName, Revision, Signal, Slot, StoreError, TraceContext};
use uuid::Uuid;

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
    /// Renews this relay's heartbeat for `lease` from now on the database's clock, and looks
    /// around: all relays and all slots, as they are after the renewal.
    ///
    /// A heartbeat that had run out before it was renewed costs its owner every slot: they stand
    /// free in the census, under new epochs. So whoever is in this census as a holder cannot have
    /// been judged dead by a peer that has not acted on it yet.
    fn beat(
        &mut self,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<Census, StoreError>> + Send;

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

    /// The next rows of these slots, in id order within each instance.
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
    /// At most `limit` rows, and fewer when their bodies are large or when other slots' rows lie
    /// between: [`Fetched::more`] says whether it is worth asking again at once.
    fn fetch(
        &mut self,
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

    /// How much lies in the outbox.
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

/// A relay process: new at each start, never a host or pod name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub Uuid);

/// How often a slot has changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// How many bytes of bodies one answer of [`OutboxSession::fetch`] holds, but for its last row.
pub(crate) const FETCH_BYTES: usize = 8 << 20;

/// How many rows of whatever slot a fetch looks through at most.
pub(crate) const FETCH_SCAN: usize = 20_000;

/// How many dead rows are retried in one transaction.
pub(crate) const DEAD_BATCH: usize = 200;

/// Who is there and who holds what.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// All relays with a heartbeat, the asker included, in owner order.
    pub relays: Vec<RelayBeat>,
    /// All slots, in order.
    pub leases: Vec<Lease>,
}

impl Census {
    /// The heartbeats of those who held these slots, each once.
    pub(crate) fn holders_of<'a>(
        &'a self,
        slots: &'a [(Slot, Epoch)],
    ) -> impl Iterator<Item = &'a RelayBeat> {
        let holds = |owner| {
            self.leases.iter().any(|lease| {
                lease.owner == Some(owner) && slots.contains(&(lease.slot, lease.epoch))
            })
        };
        self.relays.iter().filter(move |relay| holds(relay.owner))
    }
}

/// A relay's heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct RelayBeat {
    /// Whose.
    pub owner: Owner,
    /// Rises with every renewal.
    pub beat: i64,
    /// Whether it had not run out, on the database's clock.
    pub live: bool,
}

/// A slot and its holder.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// The slot.
    pub slot: Slot,
    /// Who holds it, while its heartbeat is live.
    pub owner: Option<Owner>,
    /// How often it has changed hands.
    pub epoch: Epoch,
}

/// An instance as tables know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// The model.
    pub cqrs_id: CqrsId,
    /// The canonical key.
    pub instance_pk: String,
}

/// How far a series of fetches has come. Made by a store, meaningful to it alone.
///
/// The rows up to `id` that `snapshot` shows have been returned, and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Every id up to this one has been looked at.
    pub(crate) id: i64,
    /// On `PostgreSQL`, which transactions were visible by then (`pg_snapshot`).
    pub(crate) snapshot: Option<String>,
    /// On `PostgreSQL`, how far the late rows have come that were too many for one answer.
    pub(crate) late: Option<LateRows>,
}

/// Rows up to a position's id that became visible after its snapshot, returned in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LateRows {
    /// The highest id of theirs that has been returned.
    pub(crate) after: i64,
    /// The snapshot that says which rows they are.
    pub(crate) until: String,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self {
        id: 0,
        snapshot: None,
        late: None,
    };
}

/// An answer of [`OutboxSession::fetch`].
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The rows, those that became visible late first.
    pub rows: Vec<OutboxRow>,
    /// Where to go on.
    pub position: Position,
    /// Whether the answer was cut short, even to nothing: ask again at once.
    pub more: bool,
}

/// An answer of [`OutboxSession::due`].
#[derive(Debug, Clone, Default)]
pub struct Due {
    /// The rows.
    pub rows: Vec<OutboxRow>,
    /// How long until the next one is due.
    pub next: Option<Duration>,
}

/// An event that waits to be sent.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// Its place in the order.
    pub id: i64,
    /// Its identity on the broker.
    pub message_id: Uuid,
    /// Its share.
    pub slot: Slot,
    /// Whose event it is.
    pub instance: Instance,
    /// What happened.
    pub signal: Signal,
    /// The one queue a direct sync is for.
    pub queue: Option<QueueName>,
    /// The revision.
    pub revision: Revision,
    /// The final body.
    pub body: Bytes,
    /// The trace of the change.
    pub trace: Option<TraceContext>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// Whether its time to live had run out, on the database's clock.
    pub expired: bool,
    /// How often sending it has failed through its own fault.
    pub attempts: u32,
}

/// Names a row so that no other is hit by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowRef {
    /// Its id.
    pub id: i64,
    /// Its message id.
    pub message_id: Uuid,
}

/// What became of rows.
#[derive(Debug, Clone, Default)]
pub struct Settlement {
    /// Confirmed by the broker: deleted.
    pub confirmed: Vec<RowRef>,
    /// Failed through their own fault: try again later.
    pub postponed: Vec<Postponed>,
    /// Failed for good: moved to `cqrs_outbox_dead`.
    pub dead: Vec<Buried>,
    /// Past their time to live: dropped where a later revision of the instance has been recorded,
    /// otherwise moved to `cqrs_outbox_dead` as expired.
    pub expired: Vec<RowRef>,
}

impl Settlement {
    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.confirmed.is_empty()
            && self.postponed.is_empty()
            && self.dead.is_empty()
            && self.expired.is_empty()
    }
}

/// A row to try again.
#[derive(Debug, Clone)]
pub struct Postponed {
    /// Which.
    pub row: RowRef,
    /// How often it has failed now.
    pub attempts: u32,
    /// How long to wait, on the database's clock.
    pub delay: Duration,
    /// Why it failed.
    pub error: String,
}

/// A row that will not be tried again by itself.
#[derive(Debug, Clone)]
pub struct Buried {
    /// Which.
    pub row: RowRef,
    /// The class of the reason.
    pub reason: DeadReason,
    /// The reason in words.
    pub error: String,
    /// How often it has failed now.
    pub attempts: u32,
}

/// Why a row is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// All attempts failed.
    Failed,
    /// Its time to live ran out before it could be sent.
    Expired,
    /// A direct sync to a queue that does not exist.
    NoQueue,
}

impl DeadReason {
    /// The word used in tables and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::NoQueue => "no_queue",
        }
    }
}

/// An answer of [`OutboxSession::settle`]: how many rows were there to be settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Confirmed and deleted.
    pub confirmed: u64,
    /// Put off.
    pub postponed: u64,
    /// Moved to `cqrs_outbox_dead`, expired ones included.
    pub dead: u64,
    /// Expired and dropped, since a later revision exists.
    pub superseded: u64,
    /// The slots that someone else has taken over.
    pub lost: Vec<Slot>,
}

/// How much lies in an outbox.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    /// Rows to send.
    pub rows: u64,
    /// Those of them that wait for a retry.
    pub retrying: u64,
    /// How long the oldest has been waiting.
    pub oldest: Option<Duration>,
    /// Rows in `cqrs_outbox_dead` that are neither retried nor superseded.
    pub dead: u64,
    /// Relays and leases; no heartbeat is renewed.
    pub census: Census,
}

/// A row of `cqrs_outbox_dead`.
#[derive(Debug, Clone)]
pub struct DeadRow {
    /// The id it had in the outbox.
    pub id: i64,
    /// Its identity on the broker.
    pub message_id: Uuid,
    /// Whose event it is.
    pub instance: Instance,
    /// What happened.
    pub signal: Signal,
    /// The one queue a direct sync was for.
    pub queue: Option<QueueName>,
    /// The revision.
    pub revision: Revision,
    /// The final body.
    pub body: Bytes,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When it was given up.
    pub died_at: DateTime<Utc>,
    /// How often it had failed.
    pub attempts: u32,
    /// The class of the reason, see [`DeadReason::as_str`].
    pub reason: String,
    /// The reason in words.
    pub error: Option<String>,
    /// Whether a retry found that a later revision had been recorded.
    pub superseded: bool,
}

/// An answer of [`OutboxSession::dead_retry`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Back in the outbox.
    pub retried: u64,
    /// Left dead, since a later revision has been recorded.
    pub superseded: u64,
}

impl AddAssign for Retried {
    fn add_assign(&mut self, more: Self) {
        self.retried += more.retried;
        self.superseded += more.superseded;
    }
}
