//! Read your writes: waits until a replica has applied what a command has recorded.
//!
//! A command on the master answers with a [`Token`]. [`Freshness::wait_for`] returns once the replica's
//! database holds each of its events, or a later revision of the same instance: a view that reads the
//! replica after that shows the user their own change.
//!
//! **Guaranteed:** a read that begins after `wait_for` has returned, in the database of this pool, sees the
//! states of these instances, or newer ones. A delete counts as any other event.
//!
//! **Not guaranteed:** anything about other replicas, about other instances, about what a service makes of
//! events later and elsewhere. Events of models that the replica does not keep are not waited for. Nothing
//! makes an event come: one that is a dead letter, that nobody sends, or that the model leaves out
//! (`only_direct_syncs`) ends in [`NotFresh::TimedOut`]; so does the delete of an instance whose tombstone
//! has been pruned. Where a handler's event is dead and a later one of its instance was applied, the later
//! one counts. A sync repeats a revision, and is not waited for where that is applied already.
//!
//! All waits of one process look together. Whoever's turn has come looks for all others whose turn is near,
//! in one statement on one connection; the rest wait in memory. A wait looks at once, then after 3 ms, and
//! then ever more seldom, up to once in 100 ms. Nobody looks while nobody waits, and there is no task in the
//! background: who looks is one of those who wait.
//!
//! | what fails | what happens |
//! |---|---|
//! | whoever looks is dropped | the next one looks |
//! | the database is away, or slow | it is asked again, until the time is over |
//! | the database refuses | all who wait hear of it at once |
//! | a look takes longer than 5 s | it is given up and made again |

mod board;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use board::{Board, Waiting, Wanted};
use cqrs_core::{CqrsId, QueueName, Revision, StoreError, Token};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout},
};

use crate::LetterState;

/// The shortest time between two looks: those who come meanwhile share the second.
const BREATH: Duration = Duration::from_millis(2);

/// How long a look may take.
pub(crate) const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// How long, after the time is over, the letters are looked through for what is missing.
const LETTERS_LIMIT: Duration = Duration::from_millis(250);

/// Whether a replica has applied what a [`Token`] names. Cheap to clone: clones look together, so make one
/// for each database and queue and keep it.
///
/// ```
/// # #[cfg(feature = "postgres")]
/// # async fn example(
/// #     pool: sqlx::PgPool,
/// #     models: cqrs_replica::Models<cqrs_replica::postgres::PostgresReplica>,
/// #     token: cqrs_core::Token,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use cqrs_core::QueueName;
/// use cqrs_replica::Freshness;
///
/// let queue = QueueName::new("reports")?;
/// let freshness = Freshness::postgres(pool, queue, models.cqrs_ids());
/// freshness.wait_for(&token, Duration::from_secs(2)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Freshness {
    shared: Arc<Shared>,
}

struct Shared {
    database: Box<dyn Database>,
    queue: QueueName,
    kept: HashSet<CqrsId>,
    board: Board,
    /// Held by whoever looks: when the last look was over.
    looking: Mutex<Option<Instant>>,
    looks: AtomicU64,
}

impl Freshness {
    pub(crate) fn new(
        database: impl Database + 'static,
        queue: QueueName,
        kept: impl IntoIterator<Item = CqrsId>,
    ) -> Self {
        let shared = Shared {
            database: Box::new(database),
            queue,
            kept: kept.into_iter().collect(),
            board: Board::default(),
            looking: Mutex::new(None),
            looks: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Waits until the replica has applied the token's events, as far as it keeps their models, or later
    /// revisions of their instances.
    ///
    /// No statement is made for a token without such events, and one where all is applied already. Call it
    /// while you hold no connection of the pool: a look takes one, briefly.
    ///
    /// # Errors
    /// * [`NotFresh::TimedOut`] after `timeout`; finding out which letters hold what is missing may take
    ///   another quarter of a second.
    /// * [`NotFresh::Store`] when the database refuses the statement, or when the time is over and the last
    ///   look has failed.
    ///
    /// # Cancel safety
    /// A call that is dropped is forgotten, whether it was the one that looked or not. One that is neither
    /// polled nor dropped may hold back the others.
    pub async fn wait_for(&self, token: &Token, timeout: Duration) -> Result<(), NotFresh> {
        self.shared.wait_for(token, timeout).await
    }

    /// How many statements this has made to look, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.shared.looks.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Freshness")
            .field("queue", &self.shared.queue)
            .field("kept", &self.shared.kept)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn wait_for(&self, token: &Token, limit: Duration) -> Result<(), NotFresh> {
        let wanted = self.wanted(token);
        if wanted.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let waiting = self.board.join(wanted);
        let answer = match timeout(limit, self.wait(&waiting)).await {
            Ok(answer) => answer.map_err(NotFresh::Store),
            Err(_) => self.late(&waiting, limit).await,
        };
        let outcome = match &answer {
            Ok(()) => "applied",
            Err(NotFresh::TimedOut { .. }) => "timed_out",
            Err(NotFresh::Store(_)) => "failed",
        };
        metrics::histogram!("cqrs_replica_freshness_wait_seconds", "outcome" => outcome)
            .record(began.elapsed());
        answer
    }

    /// What this replica will ever apply of a token.
    fn wanted(&self, token: &Token) -> Vec<Wanted> {
        token
            .events()
            .filter_map(|(cqrs_id, instance_pk, revision)| {
                let cqrs_id = CqrsId::new(cqrs_id).ok()?;
                self.kept.contains(&cqrs_id).then(|| Wanted {
                    instance: (cqrs_id, instance_pk.to_owned()),
                    revision,
                })
            })
            .collect()
    }

    async fn wait(&self, waiting: &Waiting<'_>) -> Result<(), Arc<StoreError>> {
        loop {
            if let Some(answer) = waiting.answer() {
                return answer;
            }
            tokio::select! {
                () = waiting.answered() => {}
                () = self.turn(waiting) => {}
            }
        }
    }

    /// Sleeps until this one's turn, and looks for all unless someone else has.
    async fn turn(&self, waiting: &Waiting<'_>) {
        sleep_until(waiting.due()).await;
        let mut last = self.looking.lock().await;
        if waiting.due() > Instant::now() {
            return;
        }
        if let Some(last) = *last {
            sleep_until(last + BREATH).await;
        }
        self.look().await;
        *last = Some(Instant::now());
    }

    async fn look(&self) {
        let asked = self.board.asked(Instant::now());
        if asked.is_empty() {
            return self.board.answer(asked, Ok(Vec::new()), Instant::now());
        }
        self.looks.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("cqrs_replica_freshness_looks_total").increment(1);
        let answer = self
            .database
            .revisions(&self.queue, &asked.instances())
            .await;
        if let Err(error) = &answer {
            let error: &dyn std::error::Error = error;
            tracing::debug!(error, "what was applied cannot be read");
        }
        self.board.answer(asked, answer, Instant::now());
    }

    /// The time is over.
    async fn late(&self, waiting: &Waiting<'_>, limit: Duration) -> Result<(), NotFresh> {
        let missing = match waiting.leave() {
            Ok(missing) => missing,
            Err(answer) => return answer.map_err(NotFresh::Store),
        };
        let mut missing: Vec<MissingEvent> = missing.into_iter().map(Wanted::into).collect();
        let letters = self.database.letters(&self.queue, &missing);
        // The answer says less without them, and is no less true.
        if let Ok(Ok(letters)) = timeout(LETTERS_LIMIT, letters).await {
            for (place, letter) in letters {
                let place = usize::try_from(place - 1).ok();
                if let Some(event) = place.and_then(|place| missing.get_mut(place)) {
                    event.letter = Some(letter);
                }
            }
        }
        Err(NotFresh::TimedOut {
            timeout: limit,
            missing,
        })
    }
}

/// An instance, as the tables name it.
pub(crate) type InstanceId = (CqrsId, String);

pub(crate) type Answer<'a, T> =
    Pin<Box<dyn Future<Output = Result<Vec<T>, StoreError>> + Send + 'a>>;

/// What is asked of a database.
pub(crate) trait Database: Send + Sync {
    /// How far instances are, in the order given.
    fn revisions<'a>(
        &'a self,
        queue: &'a QueueName,
        instances: &'a [&'a InstanceId],
    ) -> Answer<'a, Option<i64>>;

    /// The letters that hold events, with the events' places, which count from 1.
    fn letters<'a>(
        &'a self,
        queue: &'a QueueName,
        events: &'a [MissingEvent],
    ) -> Answer<'a, (i64, HoldingLetter)>;
}

/// Why a replica is not known to be as fresh as a token asks.
#[derive(Debug, thiserror::Error)]
pub enum NotFresh {
    /// It was not in time.
    #[error("the replica has not applied within {timeout:?}: {}", Listed(.missing))]
    TimedOut {
        /// How long it was waited for.
        timeout: Duration,
        /// What was still missing at the last look.
        missing: Vec<MissingEvent>,
    },
    /// The database did not say.
    #[error("whether the replica has applied it cannot be read")]
    Store(#[source] Arc<StoreError>),
}

/// An event of a token that a replica has not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingEvent {
    /// Its model.
    pub cqrs_id: CqrsId,
    /// Its instance's key, in its canonical form.
    pub instance_pk: String,
    /// Its revision.
    pub revision: Revision,
    /// The letter that holds it. `None`: it has not come yet, or nobody could look.
    pub letter: Option<HoldingLetter>,
}

/// The letter that holds a missing event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldingLetter {
    /// Its id.
    pub id: i64,
    /// What is being done about it: waiting, retrying or dead.
    pub state: LetterState,
    /// Why it is one; see [`Letter::reason`](crate::Letter::reason).
    pub reason: String,
}

impl fmt::Display for MissingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cqrs_id,
            instance_pk,
            revision,
            letter,
        } = self;
        write!(f, "{cqrs_id} {instance_pk} revision {revision}")?;
        match letter {
            Some(HoldingLetter { id, state, reason }) => {
                write!(f, " (letter {id}, {}: {reason})", state.as_str())
            }
            None => Ok(()),
        }
    }
}

/// The first few of them.
struct Listed<'m>(&'m [MissingEvent]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        for (at, event) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{event}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
