//! `[replica]`: what a worker reads and how it applies it.

use std::{num::NonZeroU16, time::Duration};

use super::{
    attempts::{Attempts, AttemptsKind},
    kind::{Choice, Integer, Number, Period},
    master::{DATABASES, distinct},
    names::Name,
    problem::Place,
    relay,
    replica_model::ReplicaModel,
    section::Section,
};
use crate::{QueueName, RetryPolicy, SecretUrl};

/// What a worker does with an expired message for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpiredMessage {
    /// Applies it if it is newer than the table's state, and counts it.
    #[default]
    Apply,
    /// Keeps it as a dead letter.
    Dead,
}

impl ExpiredMessage {
    pub(super) const WORDS: Choice<Self> = Choice(&[("apply", Self::Apply), ("dead", Self::Dead)]);
}

/// How a replica's worker works.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Replica {
    /// `postgres://` or `sqlite://`.
    pub database: SecretUrl,
    /// The service's queue, shared by all its workers.
    pub queue: QueueName,
    /// The queue of dead letters that is declared beside it, as django-cqrs does. `None`: none is.
    pub dead_letter_queue: Option<QueueName>,
    /// How many messages may be unacknowledged.
    pub prefetch: NonZeroU16,
    /// About how much memory they may take together, in bytes.
    pub prefetch_bytes: u32,
    /// How many batches are applied at the same time, each on its own connection.
    pub lanes: u16,
    /// How many messages one transaction applies at most.
    pub batch_size: u16,
    /// How long a batch waits to become full.
    pub batch_wait: Duration,
    /// After how many failures a message is a dead letter.
    pub max_attempts: Attempts,
    /// The pause after a message's first failure.
    pub retry_initial: Duration,
    /// What each further failure multiplies the pause with.
    pub retry_factor: f64,
    /// The longest pause between two attempts at a message.
    pub retry_max: Duration,
    /// How long a message waits for the revisions before it, if its handler wants all of them.
    pub gap_wait: Duration,
    /// How long a message of an unknown model waits for a worker that knows it.
    pub unknown_model_ttl: Duration,
    /// How long a message waits for a row that a foreign key of its own demands.
    pub reference_wait: Duration,
    /// What becomes of an expired message for a table.
    pub on_expired: ExpiredMessage,
    /// How long it is remembered that an instance was deleted. Longer than a message can be late.
    pub tombstone_ttl: Duration,
    /// How long dead letters are kept. `None`: for ever.
    pub dead_letter_ttl: Option<Duration>,
    /// How long the batches in flight may take to finish when the worker is told to stop.
    pub drain_timeout: Duration,
    /// How long one statement on the database may take.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How far the clocks of masters that count no revisions of ours may differ.
    pub clock_tolerance: Duration,
    /// The models that tables take, each `cqrs_id` once.
    pub models: Vec<ReplicaModel>,
}

impl Replica {
    /// A replica in this database that reads this queue, all else as by default.
    #[must_use]
    pub fn new(database: SecretUrl, queue: QueueName) -> Self {
        Self {
            dead_letter_queue: dead_letters_of(&queue),
            database,
            queue,
            prefetch: NonZeroU16::MIN.saturating_add(999),
            prefetch_bytes: 64 * 1024 * 1024,
            lanes: 4,
            batch_size: 200,
            batch_wait: Duration::from_millis(5),
            max_attempts: Attempts::UpTo(31),
            retry_initial: Duration::from_secs(2),
            retry_factor: 2.0,
            retry_max: Duration::from_mins(5),
            gap_wait: Duration::from_mins(1),
            unknown_model_ttl: Duration::from_hours(24),
            reference_wait: Duration::from_mins(10),
            on_expired: ExpiredMessage::Apply,
            tombstone_ttl: Duration::from_hours(90 * 24),
            dead_letter_ttl: None,
            drain_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            clock_tolerance: Duration::from_secs(2),
            models: Vec::new(),
        }
    }

    /// How often a message is tried that cannot be applied.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            initial: self.retry_initial,
            factor: self.retry_factor,
            max: self.retry_max,
            max_attempts: self.max_attempts.limit(),
            ..RetryPolicy::default()
        }
    }

    /// The same for one of its models.
    #[must_use]
    pub fn retry_of(&self, model: &ReplicaModel) -> RetryPolicy {
        let retry = self.retry();
        RetryPolicy {
            initial: model.retry_initial.unwrap_or(retry.initial),
            factor: model.retry_factor.unwrap_or(retry.factor),
            max: model.retry_max.unwrap_or(retry.max),
            max_attempts: model
                .max_attempts
                .map_or(retry.max_attempts, Attempts::limit),
            ..retry
        }
    }

    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let database = section.required(
            "database",
            &DATABASES,
            "\"postgres://localhost/billing\"",
            "The database with the replicated tables, or the handlers' own.",
        );
        let name = || Name::<QueueName>::new("a queue", "1 to 120 bytes without * and #");
        let queue = section.required(
            "queue",
            &name(),
            "\"billing\"",
            "The service's queue, `CQRS[\"queue\"]` of django-cqrs. All workers of the service share it.",
        );
        let dead_letter_queue = section.optional(
            "dead_letter_queue",
            &name(),
            "`dead_letter_<queue>`",
            "\"dead_letter_billing\"",
            "The queue of dead letters that is declared beside it.",
        );
        let dead_letter_queue = match (&queue, dead_letter_queue) {
            (Some(queue), Some(letters)) if *queue == letters => {
                section.contradiction(
                    ["dead_letter_queue", "queue"],
                    "they are the same",
                    "name another queue",
                );
                None
            }
            (Some(queue), None) => {
                let letters = dead_letters_of(queue);
                if letters.is_none() {
                    section.wrong(
                        "queue",
                        "is too long for dead_letter_queue to be dead_letter_<queue>",
                        "shorten it, or add dead_letter_queue with a name of 1 to 120 bytes",
                    );
                }
                letters
            }
            (_, letters) => letters,
        };
        let identity = database.zip(queue);
        let complete = identity.is_some();
        // The rest is read in any case, for its problems.
        let (database, queue) = identity.or_else(nobody)?;
        let mut replica = Self::new(database, queue);
        replica.dead_letter_queue = dead_letter_queue;
        replica.read_delivery(section);
        replica.read_patience(section);
        let models = section.tables(
            "model",
            "replica.model",
            "The models that tables take. Handlers are registered in code.",
            ReplicaModel::read,
        );
        for (model, place) in &models {
            replica.check(section, model, place);
        }
        replica.models = distinct(section, models, |model| &model.cqrs_id);
        complete.then_some(replica)
    }

    fn read_delivery(&mut self, section: &mut Section<'_, '_>) {
        let prefetch = section.value(
            "prefetch",
            &Integer(1..=u16::MAX),
            self.prefetch.get(),
            "How many messages may be unacknowledged.",
        );
        self.prefetch = NonZeroU16::new(prefetch).unwrap_or(self.prefetch);
        self.prefetch_bytes = section.value(
            "prefetch_bytes",
            &Integer(1_048_576..=u32::MAX),
            self.prefetch_bytes,
            "About how much memory these messages may take together, in bytes. Fewer are prefetched while \
             they are large.",
        );
        self.lanes = section.value(
            "lanes",
            &Integer(1..=64),
            self.lanes,
            "How many batches are applied at the same time, each on its own connection.",
        );
        self.batch_size = section.value(
            "batch_size",
            &Integer(1..=5_000),
            self.batch_size,
            "How many messages one transaction applies at most.",
        );
        self.batch_wait = section.value(
            "batch_wait",
            &Period(Duration::ZERO..=Duration::from_secs(1)),
            self.batch_wait,
            "How long a batch waits to become full.",
        );
        self.max_attempts = section.value(
            "max_attempts",
            &AttemptsKind,
            self.max_attempts,
            "After how many failures a message is a dead letter; 1 means no retry. A lost database counts \
             for none.",
        );
        (self.retry_initial, self.retry_max) = relay::retry(
            section,
            (self.retry_initial, self.retry_max),
            (
                "The pause after a message's first failure.",
                "The longest pause between two attempts at a message.",
            ),
        );
        self.retry_factor = section.value(
            "retry_factor",
            &Number(1.0..=10.0),
            self.retry_factor,
            "What each further failure multiplies the pause with.",
        );
    }

    /// What of a model contradicts the rest.
    fn check(&self, section: &mut Section<'_, '_>, model: &ReplicaModel, place: &Place) {
        let retry = self.retry_of(model);
        let cqrs_id = &model.cqrs_id;
        if retry.initial > retry.max && (model.retry_initial.is_none() || model.retry_max.is_none())
        {
            let what = format!("{cqrs_id} has a retry_initial that is longer than its retry_max");
            let remedy = "set both for the model, since the other one is that of [replica]";
            section.problem(place.clone(), "model", what, remedy);
        }
        if model.statement_timeout.is_some() && self.database.scheme() == "sqlite" {
            let what = format!("{cqrs_id} has a statement_timeout, which SQLite does not know");
            section.problem(place.clone(), "model", what, "remove it");
        }
    }

    fn read_patience(&mut self, section: &mut Section<'_, '_>) {
        let day = Duration::from_hours(24);
        self.gap_wait = section.value(
            "gap_wait",
            &Period(Duration::ZERO..=day),
            self.gap_wait,
            "How long a message waits for the revisions before it, if its handler wants all of them; \
             longer while a worker of the queue may have one.",
        );
        self.unknown_model_ttl = section.value(
            "unknown_model_ttl",
            &Period(Duration::ZERO..=365 * day),
            self.unknown_model_ttl,
            "How long a message of an unknown model waits for a worker that knows it.",
        );
        self.reference_wait = section.value(
            "reference_wait",
            &Period(Duration::ZERO..=365 * day),
            self.reference_wait,
            "How long a message waits for a row that a foreign key of its table demands. `0s`: it does \
             not wait, but is tried again like any other that fails.",
        );
        self.on_expired = section.value(
            "on_expired",
            &ExpiredMessage::WORDS,
            self.on_expired,
            "What becomes of an expired message for a table: applied if it is newer than the table's \
             state, or kept as a dead letter.",
        );
        self.tombstone_ttl = section.value(
            "tombstone_ttl",
            &Period(Duration::from_secs(1)..=3_650 * day),
            self.tombstone_ttl,
            "How long it is remembered that an instance was deleted, and at least as long as a letter of it may \
             be tried again. Must be longer than any message can be late.",
        );
        self.dead_letter_ttl = section.optional(
            "dead_letter_ttl",
            &Period(Duration::from_secs(1)..=3_650 * day),
            "none: for ever",
            "\"10d\"",
            "How long dead letters are kept; looked at hourly. Those that are done with (discarded, \
             superseded, resolved) are kept for as long too, and never longer than `tombstone_ttl`.",
        );
        (self.drain_timeout, self.statement_timeout) =
            relay::stop(section, self.drain_timeout, self.statement_timeout);
        self.lock_timeout = section.value(
            "lock_timeout",
            &Period(Duration::from_millis(10)..=Duration::from_mins(10)),
            self.lock_timeout,
            "How long a statement may wait for a lock: a second at most while other messages wait behind \
             it.",
        );
        self.clock_tolerance = section.value(
            "clock_tolerance",
            &Period(Duration::ZERO..=Duration::from_hours(1)),
            self.clock_tolerance,
            "How far the clocks of masters that are not counted by this framework (Django) may differ.",
        );
    }
}

/// The name that django-cqrs gives the queue of dead letters, if it is not too long.
fn dead_letters_of(queue: &QueueName) -> Option<QueueName> {
    QueueName::new(&format!("dead_letter_{queue}")).ok()
}

/// Stands in for a replica that is not configured.
fn nobody() -> Option<(SecretUrl, QueueName)> {
    Some((SecretUrl::new(""), QueueName::new("none").ok()?))
}
