//! The models that a worker knows.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use cqrs_core::{CqrsId, RetryPolicy};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::hooks::{DynHooks, Hooks};
use crate::{
    FailedAttempt, Handler, ReplicaStore, Retry,
    handler::{DynHandler, Registered},
    retrying::Decide,
};

/// The models of one worker, by `cqrs_id`. Cheap to clone.
pub struct Models<S: ReplicaStore> {
    by_id: Arc<HashMap<CqrsId, Model<S>>>,
}

impl<S: ReplicaStore> Models<S> {
    /// A registry of these models.
    ///
    /// # Errors
    /// Two models have the same `cqrs_id`.
    pub fn new(models: impl IntoIterator<Item = Model<S>>) -> Result<Self, DuplicateModel> {
        let mut by_id = HashMap::new();
        for model in models {
            let cqrs_id = model.cqrs_id.clone();
            if by_id.insert(cqrs_id.clone(), model).is_some() {
                return Err(DuplicateModel(cqrs_id));
            }
        }
        Ok(Self {
            by_id: Arc::new(by_id),
        })
    }

    /// The model of this name.
    #[must_use]
    pub fn get(&self, cqrs_id: &CqrsId) -> Option<&Model<S>> {
        self.by_id.get(cqrs_id)
    }

    /// All models, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Model<S>> {
        self.by_id.values()
    }

    /// Whether any of these messages is given to the user's own code.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn call_own_code<'m>(
        &self,
        mut messages: impl Iterator<Item = &'m crate::Incoming>,
    ) -> bool {
        messages.any(|message| {
            let event = message.event.as_ref();
            let model = event.and_then(|event| self.get(&event.cqrs_id));
            model.is_some_and(|model| !matches!(model.target, Target::Table(_)))
        })
    }

    /// What they are called, in no order.
    pub fn cqrs_ids(&self) -> impl Iterator<Item = CqrsId> {
        self.by_id.keys().cloned()
    }
}

impl<S: ReplicaStore> Clone for Models<S> {
    fn clone(&self) -> Self {
        Self {
            by_id: Arc::clone(&self.by_id),
        }
    }
}

impl<S: ReplicaStore> fmt::Debug for Models<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_id.keys()).finish()
    }
}

/// Two models of one worker have the same `cqrs_id`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "two models are registered for cqrs_id {0}: keep one, either the `[[replica.model]]` of cqrs.toml or that of the \
     program's code"
)]
pub struct DuplicateModel(CqrsId);

/// How the events of one `cqrs_id` are applied.
pub struct Model<S: ReplicaStore> {
    /// Whose events.
    pub cqrs_id: CqrsId,
    /// Into what.
    pub(crate) target: Target<S>,
    /// How often and how fast a failed event is tried again. Default: from 2 s up to 5 minutes apart, 31
    /// times; without a limit where every revision is to be seen in order, since a dead letter lets the
    /// later ones go.
    pub retry: RetryPolicy,
    /// The model's own word on a failed attempt.
    pub(crate) decide: Option<Decide>,
    /// How long a statement on its table, or one of its handler's, may take. `None`: as long as any.
    pub statement_timeout: Option<Duration>,
    /// What to do with an event past its time to live.
    pub on_expired: OnExpired,
    /// Whether a sync may put an older state over a newer one.
    pub sync_downgrade: bool,
    /// Whether a sync is applied only if it was sent to this queue alone.
    pub only_direct_syncs: bool,
    /// Whether its dead letters are published to the broker's queue of dead letters as well.
    pub publish_dead_letters: bool,
    /// Whether its events are applied at present.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) breaker: crate::breaker::Breaker,
}

/// Into what events are applied.
pub(crate) enum Target<S: ReplicaStore> {
    /// A table, by its mapping.
    Table(TableModel),
    /// A table, with the user's code around its writes.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    Hooked {
        table: TableModel,
        hooks: Arc<dyn DynHooks<S>>,
        /// Whether they see every revision, in order.
        in_step: bool,
    },
    /// The user's code.
    Handler {
        #[cfg_attr(
            not(any(feature = "postgres", feature = "sqlite")),
            expect(dead_code, reason = "the databases call it")
        )]
        handler: Arc<dyn DynHandler<S>>,
        /// Whether it sees every revision, in order.
        in_step: bool,
    },
}

impl<S: ReplicaStore> Target<S> {
    /// Whether every revision is applied, in order.
    pub(crate) const fn in_step(&self) -> bool {
        match self {
            Self::Table(_) => false,
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Self::Hooked { in_step, .. } => *in_step,
            Self::Handler { in_step, .. } => *in_step,
        }
    }

    /// The table that is written to.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn table(&self) -> Option<&TableModel> {
        match self {
            Self::Table(table) | Self::Hooked { table, .. } => Some(table),
            Self::Handler { .. } => None,
        }
    }
}

impl<S: ReplicaStore> Model<S> {
    /// Keeps a table equal to the master's state. An expired event that is newer than the table's
    /// state is applied all the same.
    #[must_use]
    pub fn table(cqrs_id: CqrsId, table: TableModel) -> Self {
        Self::new(cqrs_id, Target::Table(table), OnExpired::Apply)
    }

    /// Gives the events to a handler, every revision in order. An expired event is a dead letter.
    ///
    /// A revision that comes before the one it follows waits for it, up to
    /// [`ApplyPolicy::gap_wait`](crate::ApplyPolicy::gap_wait), and longer while a worker of the queue has
    /// messages that it does not get done with; so does the first event of an
    /// instance of which nothing is known, unless it is revision 0 or a sync. Events behind one
    /// that is tried again wait until that is done with. It is tried again for ever, with an error in
    /// the log and in `cqrs_replica_stuck_total` from the 31st failure on; to have it set aside as a dead
    /// letter instead, behind which the others go on, give a limit ([`Model::with_retry`]) or say so in
    /// the handler ([`Failure::park`](crate::Failure::park)). A dead letter that is retried after later
    /// revisions were applied is superseded.
    pub fn handler(cqrs_id: CqrsId, handler: impl Handler<S>) -> Self {
        let target = Target::Handler {
            handler: Arc::new(Registered(handler)),
            in_step: true,
        };
        Self::new(cqrs_id, target, OnExpired::Park)
    }

    /// Puts code of your own around the writes of a table. Nothing changes for a handler.
    ///
    /// From then on events are written one by one rather than set by set, and every revision in
    /// order, under the terms of [`Model::handler`]: a hook may do what cannot be left out, and
    /// "created" should come before "updated". With [`Model::latest`] only what is newer than the
    /// table's state comes to the hooks, at once and whatever is missing before it, as with
    /// django-cqrs. An expired event is judged as for the table.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[must_use]
    pub fn with_hooks(mut self, hooks: impl Hooks<S>) -> Self {
        self.target = match self.target {
            Target::Table(table) | Target::Hooked { table, .. } => Target::Hooked {
                table,
                hooks: Arc::new(hooks),
                in_step: true,
            },
            handler @ Target::Handler { .. } => handler,
        };
        self.limit_attempts();
        self
    }

    /// Lets a handler, or a table's hooks, skip what a newer revision has overtaken, instead of
    /// waiting for the gap to close. Nothing changes for a table without hooks, which always takes
    /// the latest state.
    #[must_use]
    pub fn latest(mut self) -> Self {
        match &mut self.target {
            Target::Table(_) => {}
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Target::Hooked { in_step, .. } => *in_step = false,
            Target::Handler { in_step, .. } => *in_step = false,
        }
        self.limit_attempts();
        self
    }

    /// Sets [`Model::retry`].
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Asks a rule of the model's own after each failed attempt, in place of [`Model::retry`]:
    /// `should_retry_cqrs` and `get_cqrs_retry_delay` of django-cqrs in one.
    ///
    /// Not asked is it about what a handler has decided itself ([`Failure::retry_after`],
    /// [`Failure::park`]), about a panic, about an expired message, and about a row that has waited in
    /// vain for another one ([`ApplyPolicy::reference_wait`](crate::ApplyPolicy::reference_wait)).
    ///
    /// ```
    /// # #[cfg(feature = "postgres")] {
    /// use std::time::Duration;
    ///
    /// use cqrs_replica::{Model, Retry, TableModel, postgres::PostgresReplica};
    ///
    /// let cqrs_id = cqrs_core::CqrsId::new("invoice").unwrap();
    /// let model = Model::table(cqrs_id, TableModel::new("invoice", "id")).with_retry_decision(
    ///     |failed| match failed.reason {
    ///         // Someone will send the field.
    ///         "missing_field" => Retry::After(Duration::from_secs(60)),
    ///         "type" => Retry::Dead,
    ///         _ => Retry::Backoff,
    ///     },
    /// );
    /// # let _: Model<PostgresReplica> = model;
    /// # }
    /// ```
    ///
    /// [`Failure::retry_after`]: crate::Failure::retry_after
    /// [`Failure::park`]: crate::Failure::park
    #[must_use]
    pub fn with_retry_decision(
        mut self,
        decide: impl Fn(&FailedAttempt<'_>) -> Retry + Send + Sync + 'static,
    ) -> Self {
        self.decide = Some(Arc::new(decide));
        self
    }

    /// Sets [`Model::statement_timeout`], on `PostgreSQL`; `SQLite` has none, and a worker there
    /// refuses to start with one.
    ///
    /// A statement that takes longer is the event's failure and counts as an attempt, where one of a
    /// table that exceeds the database's own limit does not. Waiting for a lock takes half of it at
    /// most, and remains nobody's fault. From 10 ms to 10 minutes; handlers and hooks have 30 s for all
    /// they do.
    #[must_use]
    pub const fn with_statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = Some(timeout);
        self
    }

    /// Sets [`Model::on_expired`].
    #[must_use]
    pub const fn with_on_expired(mut self, on_expired: OnExpired) -> Self {
        self.on_expired = on_expired;
        self
    }

    /// Sets [`Model::sync_downgrade`].
    #[must_use]
    pub const fn with_sync_downgrade(mut self, sync_downgrade: bool) -> Self {
        self.sync_downgrade = sync_downgrade;
        self
    }

    /// Sets [`Model::only_direct_syncs`]: syncs that were sent to every queue are left out and
    /// counted, by the reason `broadcast_sync`. Saves and deletes are applied in any case.
    #[must_use]
    pub const fn with_only_direct_syncs(mut self, only_direct_syncs: bool) -> Self {
        self.only_direct_syncs = only_direct_syncs;
        self
    }

    /// Sets [`Model::publish_dead_letters`]: what dies is sent, at least once, to the broker's queue of
    /// dead letters too, as django-cqrs sends it, so that `cqrs_dead_letters` sees it there. It stays a
    /// letter here. Dead letters from before are sent as well.
    #[must_use]
    pub const fn with_published_dead_letters(mut self, publish: bool) -> Self {
        self.publish_dead_letters = publish;
        self
    }

    fn new(cqrs_id: CqrsId, target: Target<S>, on_expired: OnExpired) -> Self {
        let mut model = Self {
            target,
            retry: limited(),
            decide: None,
            statement_timeout: None,
            on_expired,
            sync_downgrade: false,
            only_direct_syncs: false,
            publish_dead_letters: false,
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            breaker: crate::breaker::Breaker::new(cqrs_id.clone()),
            cqrs_id,
        };
        model.limit_attempts();
        model
    }

    /// Sets how often a failed event is tried by default. In step there is no limit: a dead letter
    /// would let the later revisions go, and lose its own for good.
    fn limit_attempts(&mut self) {
        if self.retry == limited() || self.retry == unlimited() {
            self.retry = if self.target.in_step() {
                unlimited()
            } else {
                limited()
            };
        }
    }
}

/// How many failures make an event a dead letter by default; in step, how many are an alarm.
pub(crate) const USUAL_ATTEMPTS: u32 = 31;

/// 31 attempts from 2 s on, as django-cqrs makes by default, but with a growing delay.
fn limited() -> RetryPolicy {
    RetryPolicy {
        max_attempts: Some(USUAL_ATTEMPTS),
        ..unlimited()
    }
}

fn unlimited() -> RetryPolicy {
    RetryPolicy {
        initial: Duration::from_secs(2),
        max_attempts: None,
        ..RetryPolicy::default()
    }
}

impl<S: ReplicaStore> fmt::Debug for Model<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target: &dyn fmt::Debug = match &self.target {
            Target::Table(table) => table,
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            Target::Hooked { table, .. } => table,
            Target::Handler { in_step: true, .. } => &"handler, in step",
            Target::Handler { in_step: false, .. } => &"handler, latest",
        };
        f.debug_struct("Model")
            .field("cqrs_id", &self.cqrs_id)
            .field("target", target)
            .field("retry", &self.retry)
            .field("on_expired", &self.on_expired)
            .field("sync_downgrade", &self.sync_downgrade)
            .field("only_direct_syncs", &self.only_direct_syncs)
            .field("publish_dead_letters", &self.publish_dead_letters)
            .finish_non_exhaustive()
    }
}

/// What to do with an event past its time to live, on the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExpired {
    /// Apply it if it is newer than what is known; counted.
    Apply,
    /// Make it a dead letter.
    Park,
}

/// A table that is kept equal to a model's state.
///
/// A save or sync writes the columns it has values for; the others keep theirs in a row that exists,
/// and take their defaults in a new one. A column that must have a value and has no default must be
/// in every message. Of several states in one batch only the last is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableModel {
    /// Its name, with its schema before a dot if need be; quoted before use.
    pub table: String,
    /// The columns of its key, in the order of the model's key. They must have a unique index.
    pub key: Vec<String>,
    /// Which member of `instance_data` goes into which column. `None`: into the column of the same
    /// name, and members without a column are ignored.
    pub columns: Option<Vec<(String, String)>>,
    /// Members of `columns` that an event may lack: the column then keeps its value. An event that lacks
    /// another one fails with the reason `missing_field`.
    pub optional: Vec<String>,
}

impl TableModel {
    /// A table whose columns have the master's names.
    pub fn new(table: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            key: vec![key.into()],
            columns: None,
            optional: Vec::new(),
        }
    }

    /// Sets the key's columns.
    #[must_use]
    pub fn with_key<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets which of the members of [`TableModel::columns`] an event may lack.
    #[must_use]
    pub fn with_optional<M: Into<String>>(mut self, members: impl IntoIterator<Item = M>) -> Self {
        self.optional = members.into_iter().map(Into::into).collect();
        self
    }

    /// Maps members of `instance_data` to columns; members not named are left out. The key's
    /// columns need no mapping where they have the master's names or the key is a single column.
    #[must_use]
    pub fn with_columns<M: Into<String>, C: Into<String>>(
        mut self,
        columns: impl IntoIterator<Item = (M, C)>,
    ) -> Self {
        self.columns = Some(
            columns
                .into_iter()
                .map(|(m, c)| (m.into(), c.into()))
                .collect(),
        );
        self
    }
}
