//! What the apply logic asks of a database. The logic itself is written once, above this.

use std::{borrow::Cow, future::Future, time::Duration};

use chrono::{DateTime, Utc};
use cqrs_core::{CqrsId, Event, InstanceKey, QueueName, StoreError};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    Letter, LetterFilter, LetterGroup, LetterState, ReplicaStatus, ReplicaStore, TableModel,
    WorkerBeat,
    handler::DynHandler,
    letter::{Fault, NewLetter, OtherLetter, TakenLetter, Verdict, Violated},
    rules::Known,
    step::WriteTable,
    table::{Description, Obstructing, Reference, Row, TablePlan, TableWrites},
};

/// Why a transaction could not go on.
#[derive(Debug)]
pub enum Failed {
    /// It is the database's fault, or nobody's.
    Store(StoreError),
    /// A message does not fit a table as it was some time ago: to be judged by the table as it is.
    Outdated,
    /// It is the fault of what was to be applied.
    Fault {
        fault: Fault,
        /// Whether the connection is lost over it.
        lost: bool,
    },
}

impl Failed {
    /// Whether it is for the sake of a row that another one refers to.
    #[cfg(feature = "sqlite")]
    pub(crate) fn is_reference(&self) -> bool {
        matches!(self, Self::Fault { fault, .. } if fault.reason == crate::letter::Reason::Reference)
    }

    /// Whether rows are in each other's way, which says nothing against a table or a message.
    pub(crate) fn is_obstruction(&self) -> bool {
        matches!(self, Self::Fault { fault, .. } if fault.is_obstruction())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How many rows that are in the way of one are looked at.
pub(crate) const OBSTRUCTING: usize = 500;

/// The places of items that rows are in the way of, each with the key of such a row as JSON.
pub(crate) type InTheWay = Vec<(usize, Option<String>)>;

/// An instance in tables: its model and canonical key.
pub(crate) type InstanceId = (CqrsId, String);

/// What locking instances brings.
#[derive(Debug)]
pub struct Locked {
    /// The database's time.
    pub(crate) now: DateTime<Utc>,
    /// What is known of each instance, in the order asked for.
    pub(crate) known: Vec<Option<Known>>,
    /// Whether the queue has any letters that are open, as of now. Those of an instance change only
    /// under its lock, so if there are none, there is none of these instances until the commit.
    pub(crate) open_letters: bool,
    /// Whether it has any that are done with.
    pub(crate) closed_letters: bool,
}

/// Which letters of an instance matter: the first one, the first one after `known`, and those from
/// `low` to `high`.
#[derive(Debug)]
pub struct Span<'i> {
    pub(crate) instance: &'i InstanceId,
    pub(crate) known: i64,
    pub(crate) low: i64,
    pub(crate) high: i64,
}

/// How long a transaction waits for the database, where others wait for it.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Many messages together, or one that nothing is known against.
    Busy,
    /// One message, after something was in the way for long.
    Quick,
}

/// One connection to a replica's database.
pub trait Backend: Send + 'static {
    /// Whether a statement can be given a time of its own.
    const TIMES_STATEMENTS: bool;
    /// The store it belongs to.
    type Store: ReplicaStore;
    /// An open transaction.
    type Work<'w>: Work<Store = Self::Store>
    where
        Self: 'w;

    /// Whether the database has refused a statement of ours for the sake of a value in it, which it
    /// will always refuse.
    fn refuses(error: &StoreError) -> bool;

    /// Opens a transaction whose statements see what was committed before each of them. Dropping
    /// it rolls it back.
    fn begin(&mut self) -> impl Future<Output = Result<Self::Work<'_>, StoreError>> + Send;

    /// The same at a pace, for messages of which some are given to the user's code or none are. A
    /// database whose transactions only wait for each other as a whole has one pace.
    fn begin_at(
        &mut self,
        pace: Pace,
        own_code: bool,
    ) -> impl Future<Output = Result<Self::Work<'_>, StoreError>> + Send {
        let _ = (pace, own_code);
        self.begin()
    }

    /// Whether a statement was ended because it waited for a lock, or took, longer than it may, so
    /// that another message may get through.
    fn is_hindered(error: &StoreError) -> bool;

    /// Drops the connection for a new one.
    fn reconnect(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the catalog says of a table; `None` if there is none.
    fn describe(
        &mut self,
        table: &TableModel,
    ) -> impl Future<Output = Result<Option<Description>, StoreError>> + Send;

    /// Whether a column's type takes this value.
    fn takes(
        &mut self,
        plan: &TablePlan,
        column: usize,
        value: &RawValue,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The places of the rows whose values, those of a reference's columns, refer to no row; `None`
    /// if that cannot be found out.
    fn orphans(
        &mut self,
        plan: &TablePlan,
        reference: &Reference,
        rows: &[Vec<Cow<'_, RawValue>>],
    ) -> impl Future<Output = Result<Option<Vec<usize>>, StoreError>> + Send;

    /// The places of the items that rows of another table, or the same, are in the way of; with the
    /// keys of those rows as JSON if their table is that of `model`, [`OBSTRUCTING`] of each item at most.
    /// `None` if that cannot be found out.
    fn obstructing(
        &mut self,
        plan: &TablePlan,
        rows: &Obstructing<'_>,
        model: Option<&TablePlan>,
        items: &[Row<'_>],
    ) -> impl Future<Output = Result<Option<InTheWay>, StoreError>> + Send;

    /// The columns of a constraint that an error names.
    fn constraint_columns(
        &mut self,
        violated: &Violated,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// The oldest and the latest letter of a paused model.
    fn held(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
    ) -> impl Future<Output = Result<Option<(i64, i64)>, StoreError>> + Send;

    /// How long until the next letter is due; negative when it is overdue.
    fn next_due(
        &mut self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<Option<chrono::TimeDelta>, StoreError>> + Send;

    /// See [`crate::ReplicaSession::beat`].
    fn beat(&mut self, beat: &WorkerBeat) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// See [`crate::ReplicaSession::retire`].
    fn retire(&mut self, worker: Uuid) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// See [`crate::ReplicaSession::prune_tombstones`].
    fn prune_tombstones(
        &mut self,
        queue: &QueueName,
        older_than: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// See [`crate::ReplicaSession::prune_letters`].
    fn prune_letters(
        &mut self,
        queue: &QueueName,
        state: LetterState,
        older_than: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// See [`crate::ReplicaSession::status`].
    fn status(
        &mut self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<ReplicaStatus, StoreError>> + Send;

    /// Letters, newest first: those with this id, in this state, or all.
    fn letters(
        &mut self,
        queue: &QueueName,
        id: Option<i64>,
        state: Option<LetterState>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letter_retry`].
    fn retry(
        &mut self,
        queue: &QueueName,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letter_discard`].
    fn discard(
        &mut self,
        queue: &QueueName,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letter_page`].
    fn letters_page(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letter_groups`].
    fn letter_groups(
        &mut self,
        queue: &QueueName,
        filter: &LetterFilter,
        ids: Option<&[i64]>,
    ) -> impl Future<Output = Result<Vec<LetterGroup>, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letter_purge`].
    fn purge(
        &mut self,
        queue: &QueueName,
        ids: &[i64],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letters_to_publish`].
    fn take_unpublished(
        &mut self,
        queue: &QueueName,
        cqrs_ids: &[CqrsId],
        hold: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TakenLetter>, StoreError>> + Send;

    /// See [`crate::ReplicaSession::letters_published`].
    fn mark_published(
        &mut self,
        queue: &QueueName,
        published: &[(i64, Uuid)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// See [`crate::ReplicaSession::letter_import`]; answers how many are new.
    fn import(
        &mut self,
        queue: &QueueName,
        letters: &[NewLetter<'_>],
        retry: bool,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Ends the connection in good order.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// An open transaction of a [`Backend`].
///
/// Locks are taken in one order, so that workers never wait for each other in a circle: letters
/// first, skipping those that another session holds; then the instances' state rows, in the order
/// given. Whoever holds a state row never waits for a letter.
pub trait Work: Send {
    /// The store it belongs to.
    type Store: ReplicaStore;
    /// What writes to tables for a hook.
    type Writer: WriteTable<Self::Store>;

    /// Takes up letters that are due, and those that wait for a model which is `ready`.
    fn take_due(
        &mut self,
        queue: &QueueName,
        ready: &[CqrsId],
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TakenLetter>, StoreError>> + Send;

    /// Takes up one letter, if it is still open.
    fn take_one(
        &mut self,
        queue: &QueueName,
        id: i64,
    ) -> impl Future<Output = Result<Option<TakenLetter>, StoreError>> + Send;

    /// Takes up the waiting letters of an instance from a revision on, in order.
    fn take_run(
        &mut self,
        queue: &QueueName,
        instance: &InstanceId,
        from: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TakenLetter>, StoreError>> + Send;

    /// Locks instances in the order given and says what is known of them.
    fn lock(
        &mut self,
        queue: &QueueName,
        instances: &[InstanceId],
    ) -> impl Future<Output = Result<Locked, StoreError>> + Send;

    /// Since when a worker of the queue may have had messages that it is not done with.
    fn held_since(
        &mut self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<Option<DateTime<Utc>>, StoreError>> + Send;

    /// Open letters of the instances, with the instance's place in `spans`; and letters of these
    /// messages that are closed, with `None`.
    fn others(
        &mut self,
        queue: &QueueName,
        spans: &[Span<'_>],
        messages: &[Uuid],
    ) -> impl Future<Output = Result<Vec<(Option<usize>, OtherLetter)>, StoreError>> + Send;

    /// Makes rows that are about to be written, or deleted, give up what they have alone and will not
    /// keep, so that others may take it in whatever order they are written. After a failure the
    /// transaction must be given up.
    fn make_room(
        &mut self,
        plan: &TablePlan,
        rows: &[Row<'_>],
        deletes: &[&InstanceKey],
    ) -> impl Future<Output = Result<(), Failed>> + Send;

    /// Writes to a table. After a failure the transaction must be given up.
    fn write(
        &mut self,
        plan: &TablePlan,
        writes: &TableWrites<'_>,
    ) -> impl Future<Output = Result<(), Failed>> + Send;

    /// What a hook writes to its table with, inside [`Self::handle`] with the same timeout.
    fn writer(&self, timeout: Option<Duration>) -> Self::Writer;

    /// Gives an event to a handler inside a savepoint. After a [`Failed`] the transaction must be
    /// given up; after a [`Fault`] it goes on as if the handler had not been called. `timeout` is how
    /// long each of its statements may take, if the model says.
    fn handle(
        &mut self,
        handler: &dyn DynHandler<Self::Store>,
        event: &Event,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Result<(), Fault>, Failed>> + Send;

    /// Stores what is known of instances.
    fn save(
        &mut self,
        queue: &QueueName,
        states: &[(&InstanceId, &Known)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes new letters.
    fn insert_letters(
        &mut self,
        queue: &QueueName,
        letters: &[NewLetter<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Changes letters that this transaction has taken up.
    fn change_letters(
        &mut self,
        changes: &[(i64, &Verdict)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Closes letters that this transaction has taken up.
    fn close_letters(
        &mut self,
        ids: &[i64],
        state: LetterState,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes letters that this transaction has taken up: waits that have ended well.
    fn delete_letters(
        &mut self,
        ids: &[i64],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes waiting letters due now, those aside that another session has taken up.
    fn wake(&mut self, ids: &[i64]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes letters due now that wait for these instances to come, `limit` at most and those aside
    /// that another session has taken up. Answers how many.
    fn wake_referring(
        &mut self,
        queue: &QueueName,
        arrived: &[String],
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Marks open letters of the instances up to a revision as superseded, those aside that
    /// another session has taken up.
    fn supersede(
        &mut self,
        queue: &QueueName,
        applied: &[(&InstanceId, i64)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Commits.
    fn commit(self) -> impl Future<Output = Result<(), Failed>> + Send;
}
