//! Executes commands.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tracing::{Instrument, Span, field::Empty, info_span};
use uuid::Uuid;

use super::{
    Begun, BusError, Command, CommandHandler, CommandRecord, CommandStore, Context, Kept,
    Violations,
    limits::{DEADLINE, conflicts},
    observation::{Kind, Observation},
};
use crate::{Clock, RetryPolicy, StoreError, SystemClock, Token};

/// Executes commands on the store `S` with the handlers of `H`. Cheap to clone.
pub struct CommandBus<S, H> {
    store: Arc<S>,
    handlers: Arc<H>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    retry: RetryPolicy,
}

/// A command that has been executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// What its handler answered.
    pub output: T,
    /// What it recorded: `wait_for` on a replica returns once it has been applied there.
    pub token: Token,
    /// Whether the id had been executed before, so that this is what was answered then.
    pub repeated: bool,
}

impl<S, H> CommandBus<S, H> {
    /// A bus with a deadline of 10 s, and up to 5 attempts where commands stand in each other's way.
    #[must_use]
    pub fn new(store: S, handlers: H) -> Self {
        Self {
            store: Arc::new(store),
            handlers: Arc::new(handlers),
            clock: Arc::new(SystemClock),
            deadline: DEADLINE,
            retry: conflicts(),
        }
    }

    /// How long a command may take, all attempts together. A clone of a bus may have another one, as for
    /// a request that says so.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How often and after what delay a deadlock or serialization failure is tried again.
    #[must_use]
    pub const fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Where durations are read.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl<S: CommandStore, H> CommandBus<S, H> {
    /// Executes a command: its handler's changes, the events recorded and the result are committed
    /// together. Executed again with the same id, it changes nothing and has the first result.
    ///
    /// # Errors
    /// A [`BusError`]. Nothing has been changed, except where that says otherwise.
    ///
    /// # Cancel safety
    /// If the future is dropped, the transaction is rolled back, or, if its commit was on its way, it may
    /// have been committed. Execute the command again with the same id to know.
    pub async fn execute<C>(
        &self,
        id: Uuid,
        command: &C,
    ) -> Result<Done<C::Output>, BusError<H::Error>>
    where
        C: Command,
        H: CommandHandler<C, S>,
    {
        let name = C::NAME;
        let span = info_span!(
            "command", command = name, %id, attempts = Empty, outcome = Empty, duration = Empty
        );
        let observation = Observation::begin(Kind::Command, name, &*self.clock);
        let attempts = self.attempts(id, command, &span).instrument(span.clone());
        let result = match tokio::time::timeout(self.deadline, attempts).await {
            Ok(result) => result,
            Err(_) => Err(BusError::Deadline {
                name,
                limit: self.deadline,
            }),
        };
        let repeated = result.as_ref().is_ok_and(|done| done.repeated);
        let done = if repeated { "repeated" } else { "done" };
        observation.end(&span, &*self.clock, &result, done);
        result
    }

    async fn attempts<C>(
        &self,
        id: Uuid,
        command: &C,
        span: &Span,
    ) -> Result<Done<C::Output>, BusError<H::Error>>
    where
        C: Command,
        H: CommandHandler<C, S>,
    {
        let name = C::NAME;
        let mut violations = Violations::default();
        command.validate(&mut violations);
        if !violations.is_empty() {
            return Err(BusError::Invalid { name, violations });
        }
        let record = CommandRecord::new(id, command).map_err(|source| BusError::Failed {
            name,
            source: source.into(),
        })?;
        let mut attempt = 1;
        loop {
            span.record("attempts", attempt);
            let result = self.attempt(&record, command, attempt).await;
            let Err(BusError::Store(StoreError::Conflict(_))) = &result else {
                return result;
            };
            let Some(delay) = self.retry.delay(attempt) else {
                return result;
            };
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// One transaction.
    async fn attempt<C>(
        &self,
        record: &CommandRecord,
        command: &C,
        attempt: u32,
    ) -> Result<Done<C::Output>, BusError<H::Error>>
    where
        C: Command,
        H: CommandHandler<C, S>,
    {
        let name = C::NAME;
        let begun = self.store.begin(record).await.map_err(BusError::Store)?;
        let mut transaction = match begun {
            Begun::New(transaction) => transaction,
            Begun::Done(kept) => return repeated(record, kept),
        };
        let mut context = Context {
            transaction: &mut transaction,
            id: record.id,
            attempt,
        };
        let handled = self.handlers.handle(command, &mut context);
        // What a panic may have left behind is rolled back with the transaction.
        let output = match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(Ok(output)) => serde_json::to_string(&output)
                .map(|json| (output, json))
                .map_err(|source| BusError::Failed {
                    name,
                    source: source.into(),
                }),
            Ok(Err(failure)) => Err(BusError::of(name, failure)),
            Err(payload) => Err(BusError::panicked(name, &*payload)),
        };
        match output {
            Ok((output, json)) => {
                let token = self.store.commit(transaction, record, &json).await;
                Ok(Done {
                    output,
                    token: token.map_err(BusError::Store)?,
                    repeated: false,
                })
            }
            Err(error) => {
                if let Err(error) = self.store.rollback(transaction).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "{name} could not be rolled back in good order");
                }
                Err(error)
            }
        }
    }
}

/// The first result of a command that is executed again.
fn repeated<T, E>(record: &CommandRecord, kept: Kept) -> Result<Done<T>, BusError<E>>
where
    T: serde::de::DeserializeOwned,
    E: super::Rejection,
{
    if kept.name != record.name || kept.fingerprint != record.fingerprint {
        return Err(BusError::IdReused {
            id: record.id,
            name: kept.name,
        });
    }
    let output = serde_json::from_str(&kept.output).map_err(|source| {
        BusError::Store(StoreError::Corrupt {
            table: "cqrs_command",
            column: "output",
            source: source.into(),
        })
    })?;
    Ok(Done {
        output,
        token: kept.token,
        repeated: true,
    })
}

impl<S, H> Clone for CommandBus<S, H> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            handlers: Arc::clone(&self.handlers),
            clock: Arc::clone(&self.clock),
            deadline: self.deadline,
            retry: self.retry.clone(),
        }
    }
}

impl<S, H> fmt::Debug for CommandBus<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandBus")
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
