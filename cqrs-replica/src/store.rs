//! The replica's database as the worker sees it.
//!
//! A [`ReplicaStore`] is a database's address: cheap to clone, connecting to nothing by itself. A
//! [`ReplicaSession`] owns one plain connection. After any error but [`StoreError::Conflict`] a
//! session is done for: drop it and open another. Whatever a failed call was to write is either
//! committed as a whole or not at all, and giving the same messages again changes nothing twice.

mod letter;

use std::{fmt::Debug, future::Future, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, QueueName, StoreError,
    transport::{Delivery, Headers},
};
use uuid::Uuid;

pub use letter::{Letter, LetterFilter, LetterGroup, LetterState};

use crate::{Imported, Models, UnpublishedLetter};

/// A database that holds a replica.
pub trait ReplicaStore: Clone + Debug + Send + Sync + 'static {
    /// A connection to it.
    type Session: ReplicaSession<Store = Self>;
    /// What handlers write through: the driver's own connection, inside an open transaction. (Not the
    /// driver's transaction type: its lifetime would have to be repeated by every handler.)
    type Connection: Send;

    /// Connects, and refuses a schema that this program does not know.
    ///
    /// Cancellation: safe.
    fn session(&self) -> impl Future<Output = Result<Self::Session, StoreError>> + Send;
}

/// One connection of a worker. Not shared between tasks.
pub trait ReplicaSession: Send + 'static {
    /// The store it belongs to.
    type Store: ReplicaStore;

    /// Compares the table models with the tables there are: tables, key columns with a unique
    /// index, mapped columns.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all problems of all models at once.
    fn check_models(
        &mut self,
        models: &Models<Self::Store>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Applies messages in one transaction and answers for each, in the order given. Every answer
    /// stands for something durable: the message may be acknowledged.
    ///
    /// The instances are locked in key order; the messages of one instance are judged in the order
    /// given, by the apply rules. What cannot be applied becomes a letter in the same transaction.
    /// When the transaction fails for the sake of a message, the batch is rolled back and repeated:
    /// without the rows that refer to rows which are not there, or else one by one.
    ///
    /// Cancellation: a dropped call leaves the session unusable; nothing was applied.
    fn apply(
        &mut self,
        models: &Models<Self::Store>,
        policy: &ApplyPolicy,
        batch: &[Incoming],
    ) -> impl Future<Output = Result<Vec<Applied>, StoreError>> + Send;

    /// Keeps a message that the database, though it answers, fails to take again and again: its
    /// statement takes too long, or another transaction holds its row. Judges it as [`Self::apply`]
    /// does, but touches neither the model's table nor its handler: what would apply becomes a
    /// letter that is retried soon, and no attempt is counted. What the database does not store so is
    /// kept by its bytes alone. The answer is durable.
    ///
    /// # Errors
    /// [`StoreError::Backend`]: the database answers and keeps the message in no form.
    ///
    /// Cancellation: as with [`Self::apply`].
    fn set_aside(
        &mut self,
        models: &Models<Self::Store>,
        policy: &ApplyPolicy,
        message: &Incoming,
        why: &str,
    ) -> impl Future<Output = Result<Applied, StoreError>> + Send;

    /// Takes up letters that are due (retries, ended waits, waits of models that are now known) and
    /// those whose predecessor has come, and applies them as [`Self::apply`] does; safe to call
    /// from several workers at once. One that takes too long, or whose row another transaction
    /// holds, is set aside as by [`Self::set_aside`].
    fn apply_due(
        &mut self,
        models: &Models<Self::Store>,
        policy: &ApplyPolicy,
        limit: usize,
    ) -> impl Future<Output = Result<DueLetters, StoreError>> + Send;

    /// Renews the worker's row; forgets workers unseen for an hour.
    fn beat(&mut self, beat: &WorkerBeat) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the worker's row: the end of a good shutdown. A row that needs a reconcile stays.
    fn retire(&mut self, worker: Uuid) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether letters were made due, by this session, since this was last asked: whoever looks
    /// after them has something to do.
    fn has_woken(&mut self) -> bool;

    /// Deletes tombstones older than this, at most `limit`, and answers how many.
    fn prune_tombstones(
        &mut self,
        queue: &QueueName,
        older_than: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Deletes letters that have been in this state for longer, at most `limit`, and answers how
    /// many. Open ones are never deleted.
    fn prune_letters(
        &mut self,
        queue: &QueueName,
        state: LetterState,
        older_than: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// How the replica is doing.
    fn status(
        &mut self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<ReplicaStatus, StoreError>> + Send;

    /// Letters, newest first. `None`: in any state.
    fn letter_list(
        &mut self,
        queue: &QueueName,
        state: Option<LetterState>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// One letter.
    fn letter_show(
        &mut self,
        queue: &QueueName,
        id: i64,
    ) -> impl Future<Output = Result<Option<Letter>, StoreError>> + Send;

    /// Makes dead letters due now, named ones also from backoff or discarded, with their attempts at zero; a
    /// running worker takes them up. `None`: all dead ones. Answers how many.
    fn letter_retry(
        &mut self,
        queue: &QueueName,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Marks dead letters discarded. `None`: all dead ones. Answers how many.
    fn letter_discard(
        &mut self,
        queue: &QueueName,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Letters in the order of their numbers, from behind this one on.
    fn letter_page(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// Letters by the way in which they failed, the largest group first; of these ids alone, if there are any.
    fn letter_groups(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<Vec<LetterGroup>, StoreError>> + Send;

    /// Deletes letters that are dead or done with, for good. Answers how many.
    fn letter_purge(
        &mut self,
        queue: &QueueName,
        ids: &[i64],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Takes dead letters of these models that the broker's queue of dead letters does not have yet,
    /// oldest first, and holds them so long for the caller. Who is not heard of again
    /// ([`Self::letters_published`]) has not published them.
    fn letters_to_publish(
        &mut self,
        queue: &QueueName,
        cqrs_ids: &[CqrsId],
        hold: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<UnpublishedLetter>, StoreError>> + Send;

    /// Remembers that the broker has confirmed letters, by their ids and those of the messages.
    fn letters_published(
        &mut self,
        queue: &QueueName,
        published: &[(i64, Uuid)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps messages out of the broker's queue of dead letters as dead letters, or as letters due at
    /// once, in one transaction. One that is or has been a letter already, by its id or for want of one
    /// by its body, is not kept again; with `retry` it is made due if it is dead. What cannot be read
    /// is dead in any case.
    fn letter_import(
        &mut self,
        queue: &QueueName,
        messages: Vec<Incoming>,
        retry: bool,
    ) -> impl Future<Output = Result<Imported, StoreError>> + Send;

    /// Ends the connection in good order.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What the apply rules need to know beside the message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApplyPolicy {
    /// The worker's queue.
    pub queue: QueueName,
    /// How far the clocks of other masters may differ.
    pub clock_tolerance: Duration,
    /// How long an in-step event waits for the one before it, at least: it goes on while a worker of the
    /// queue may have that one.
    pub gap_wait: Duration,
    /// How long an event of an unknown model waits for a worker that knows it.
    pub unknown_model_ttl: Duration,
    /// How long an event waits for a row that a foreign key of its own demands. Zero: it does not
    /// wait, but is tried again like any other that fails.
    pub reference_wait: Duration,
    /// Whether a save brings back the very state that a comparison has removed: a save from a dump, which
    /// says what the master has, and not one that comes late.
    pub restores: bool,
}

impl ApplyPolicy {
    /// The defaults: 2 s of tolerance, 1 minute for a gap, 1 day for an unknown model, 10 minutes
    /// for a row referred to.
    #[must_use]
    pub const fn new(queue: QueueName) -> Self {
        Self {
            queue,
            clock_tolerance: Duration::from_secs(2),
            gap_wait: Duration::from_mins(1),
            unknown_model_ttl: Duration::from_hours(24),
            reference_wait: Duration::from_mins(10),
            restores: false,
        }
    }
}

/// A message to apply: what a delivery brought.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its identity, where its sender gave one.
    pub message_id: Option<Uuid>,
    /// How it came.
    pub routing_key: String,
    /// The body, not yet read.
    pub body: Bytes,
    /// What travelled beside it.
    pub headers: Headers,
    /// What [`cqrs_core::wire::decode`] made of the body; the worker has read it already to choose
    /// a lane. `None`: it cannot be read.
    pub event: Option<Box<cqrs_core::Event>>,
}

impl Incoming {
    /// Reads a delivery.
    #[must_use]
    pub fn new(delivery: Delivery) -> Self {
        let Delivery {
            message_id,
            routing_key,
            body,
            headers,
            ..
        } = delivery;
        Self::restored(message_id, routing_key, body, headers)
    }

    /// Reads a delivery whose body is no longer than `limit` bytes. A longer one is left unread, so that it
    /// is kept as a letter: a retry reads it.
    #[must_use]
    pub fn within(delivery: Delivery, limit: usize) -> Self {
        if delivery.body.len() <= limit {
            return Self::new(delivery);
        }
        Self {
            message_id: delivery.message_id,
            routing_key: delivery.routing_key,
            body: delivery.body,
            headers: delivery.headers,
            event: None,
        }
    }

    /// Reads a body that was kept with what came beside it.
    pub(crate) fn restored(
        message_id: Option<Uuid>,
        routing_key: String,
        body: Bytes,
        headers: Headers,
    ) -> Self {
        let event = cqrs_core::wire::decode(&body).ok().map(Box::new);
        Self {
            message_id,
            routing_key,
            body,
            headers,
            event,
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// It took effect.
    Applied {
        /// How many revisions were passed over (0 is the normal case).
        gap: u64,
        /// Whether it was past its time to live.
        expired: bool,
    },
    /// It says nothing new.
    Skipped(SkipReason),
    /// It is kept until what it waits for has come.
    Waiting(WaitReason),
    /// It failed and will be tried again.
    Retrying {
        /// How often it has failed.
        attempts: u32,
        /// Why, in one word; see [`Letter::reason`].
        reason: &'static str,
    },
    /// It is a dead letter.
    Dead {
        /// Why, in one word; see [`Letter::reason`].
        reason: &'static str,
    },
}

/// Why a message says nothing new. The words are those of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// This revision, or this sync, has been applied.
    Duplicate,
    /// A later revision has been applied.
    Stale,
    /// The instance has been deleted since.
    Deleted,
    /// It is a sync to every queue, and the model takes only those to its own.
    BroadcastSync,
    /// A later message of the same batch carries a newer state of a table model, which alone was
    /// written.
    Overtaken,
}

impl SkipReason {
    /// The word used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Deleted => "deleted",
            Self::BroadcastSync => "broadcast_sync",
            Self::Overtaken => "overtaken",
        }
    }
}

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// The revision before it.
    Gap,
    /// A worker that knows its model.
    UnknownModel,
    /// The row that it refers to, or that the rows are gone which refer to what it deletes.
    Reference,
    /// Its model, whose table cannot be written, or whose code does not answer.
    Paused,
}

impl WaitReason {
    /// The word used in tables, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::UnknownModel => "unknown_model",
            Self::Reference => "reference",
            Self::Paused => "paused",
        }
    }
}

/// An answer of [`ReplicaSession::apply_due`].
#[derive(Debug, Clone, Default)]
pub struct DueLetters {
    /// What became of those taken up.
    pub applied: Vec<Applied>,
    /// How long until the next one is due; zero when there may be more due now, `None` when there
    /// is none.
    pub next: Option<Duration>,
}

/// A worker's sign of life.
#[derive(Debug, Clone)]
pub struct WorkerBeat {
    /// The worker: new at each start.
    pub worker: Uuid,
    /// Its queue.
    pub queue: QueueName,
    /// How long ago the oldest message that it has not acknowledged came to it.
    pub oldest_unacked: Option<Duration>,
    /// Whether its queue was found gone since the last beat; in the table it stays so until all is compared.
    pub needs_reconcile: bool,
}

/// How a replica is doing.
#[derive(Debug, Clone, Default)]
pub struct ReplicaStatus {
    /// Instances known to be live.
    pub live: u64,
    /// Instances known to be deleted.
    pub tombstones: u64,
    /// Letters that wait for something.
    pub waiting: u64,
    /// Letters that are tried again.
    pub retrying: u64,
    /// Dead letters.
    pub dead: u64,
    /// The workers seen lately.
    pub workers: Vec<WorkerRow>,
    /// Whether any worker found its queue gone, and nothing has been compared since.
    pub needs_reconcile: bool,
    /// The models that letters wait for.
    pub waiting_models: Vec<WaitingModel>,
}

/// A model that letters wait for.
#[derive(Debug, Clone)]
pub struct WaitingModel {
    /// Its name.
    pub cqrs_id: String,
    /// Whether it is paused, since its table cannot be written or its code does not answer. Otherwise
    /// no worker of the queue knows it.
    pub is_paused: bool,
    /// For how long the first letter has waited.
    pub waited: Duration,
    /// Why it is paused, as known when that letter was last tried.
    pub error: Option<String>,
}

/// A row of `cqrs_replica_worker`.
#[derive(Debug, Clone)]
pub struct WorkerRow {
    /// The worker.
    pub worker: Uuid,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// How long ago its last sign of life was.
    pub seen: Duration,
    /// How long its oldest unacknowledged message has been with it.
    pub oldest_unacked: Option<Duration>,
}
