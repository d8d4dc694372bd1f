//! The span, the metrics and the log of one command or query.

use std::{error::Error, time::Instant};

use metrics::{counter, histogram};
use tracing::{Span, field::debug};

use super::{BusError, Rejection};
use crate::Clock;

/// Which bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Command,
    Query,
}

/// Began when the bus was called.
pub(super) struct Observation {
    kind: Kind,
    name: &'static str,
    began: Instant,
}

impl Observation {
    pub(super) fn begin(kind: Kind, name: &'static str, clock: &dyn Clock) -> Self {
        Self {
            kind,
            name,
            began: clock.monotonic(),
        }
    }

    /// Notes how it ended.
    pub(super) fn end<T, E: Rejection>(
        &self,
        span: &Span,
        clock: &dyn Clock,
        result: &Result<T, BusError<E>>,
        done: &'static str,
    ) {
        let outcome = result.as_ref().err().map_or(done, BusError::outcome);
        let duration = clock.monotonic().saturating_duration_since(self.began);
        span.record("outcome", outcome);
        span.record("duration", debug(duration));
        let name = self.name;
        match self.kind {
            Kind::Command => {
                counter!("cqrs_commands_total", "command" => name, "outcome" => outcome)
                    .increment(1);
                histogram!("cqrs_command_duration_seconds", "command" => name).record(duration);
            }
            Kind::Query => {
                counter!("cqrs_queries_total", "query" => name, "outcome" => outcome).increment(1);
                histogram!("cqrs_query_duration_seconds", "query" => name).record(duration);
            }
        }
        match result {
            Err(error) if error.is_fault() => {
                let error: &dyn Error = error;
                span.in_scope(|| tracing::error!(error, "{name} failed"));
            }
            _ => {}
        }
    }
}
