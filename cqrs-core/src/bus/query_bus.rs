//! Answers queries.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tracing::{Instrument, Span, field::Empty, info_span};

use super::{
    BusError, Query, QueryHandler, QueryStore, Violations,
    limits::{DEADLINE, conflicts},
    observation::{Kind, Observation},
};
use crate::{Clock, RetryPolicy, StoreError, SystemClock};

/// Answers queries from the store `S` with the handlers of `H`. Cheap to clone.
pub struct QueryBus<S, H> {
    store: Arc<S>,
    handlers: Arc<H>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    retry: RetryPolicy,
}

impl<S, H> QueryBus<S, H> {
    /// A bus with a deadline of 10 s.
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

    /// How long a query may take.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Where durations are read.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl<S: QueryStore, H> QueryBus<S, H> {
    /// Answers a query.
    ///
    /// # Errors
    /// A [`BusError`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ask<Q>(&self, query: &Q) -> Result<Q::Output, BusError<H::Error>>
    where
        Q: Query,
        H: QueryHandler<Q, S>,
    {
        let name = Q::NAME;
        let span = info_span!(
            "query",
            query = name,
            attempts = Empty,
            outcome = Empty,
            duration = Empty
        );
        let observation = Observation::begin(Kind::Query, name, &*self.clock);
        let attempts = self.attempts(query, &span).instrument(span.clone());
        let result = match tokio::time::timeout(self.deadline, attempts).await {
            Ok(result) => result,
            Err(_) => Err(BusError::Deadline {
                name,
                limit: self.deadline,
            }),
        };
        observation.end(&span, &*self.clock, &result, "done");
        result
    }

    async fn attempts<Q>(&self, query: &Q, span: &Span) -> Result<Q::Output, BusError<H::Error>>
    where
        Q: Query,
        H: QueryHandler<Q, S>,
    {
        let name = Q::NAME;
        let mut violations = Violations::default();
        query.validate(&mut violations);
        if !violations.is_empty() {
            return Err(BusError::Invalid { name, violations });
        }
        let mut attempt = 1;
        loop {
            span.record("attempts", attempt);
            let result = self.attempt(query).await;
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

    async fn attempt<Q>(&self, query: &Q) -> Result<Q::Output, BusError<H::Error>>
    where
        Q: Query,
        H: QueryHandler<Q, S>,
    {
        let name = Q::NAME;
        let mut transaction = self.store.begin().await.map_err(BusError::Store)?;
        let handled = self.handlers.handle(query, &mut transaction);
        let answer = match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(answer) => answer.map_err(|failure| BusError::of(name, failure)),
            Err(payload) => Err(BusError::panicked(name, &*payload)),
        };
        if let Err(error) = self.store.end(transaction).await {
            // The answer is as good.
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "{name} did not end in good order");
        }
        answer
    }
}

impl<S, H> Clone for QueryBus<S, H> {
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

impl<S, H> fmt::Debug for QueryBus<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBus")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
