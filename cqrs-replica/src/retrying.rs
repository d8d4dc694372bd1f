//! A model's own word on what comes after a failed attempt.

use std::{sync::Arc, time::Duration};

use cqrs_core::Event;

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Another attempt, when and as long as [`Model::retry`](crate::Model::retry) says.
    Backoff,
    /// Another attempt after this long, however often it has failed.
    After(Duration),
    /// A dead letter.
    Dead,
}

/// An attempt that has failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedAttempt<'a> {
    /// The event.
    pub event: &'a Event,
    /// How often it has failed, this time included.
    pub attempts: u32,
    /// Why, in one word; see [`Letter::reason`](crate::Letter::reason).
    pub reason: &'a str,
    /// Why, in words, with the causes.
    pub error: &'a str,
}

/// A model's rule.
pub(crate) type Decide = Arc<dyn Fn(&FailedAttempt<'_>) -> Retry + Send + Sync>;

/// Asks the rule. One that panics is as good as none: the message must not suffer for it, and the
/// worker even less.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn ask(decide: &Decide, attempt: &FailedAttempt<'_>) -> Retry {
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decide(attempt)));
    asked.unwrap_or_else(|_| {
        let cqrs_id = attempt.event.cqrs_id.as_str();
        tracing::error!(cqrs_id, "the retry decision of the model panicked");
        Retry::Backoff
    })
}
