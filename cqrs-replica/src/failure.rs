//! A handler's word on an event that it did not apply.

use std::{error::Error, time::Duration};

use crate::{
    handler::Panic,
    letter::{Fault, Reason, Then, in_words},
};

/// Why an event was not applied, by what is to be done about it. `?` on any error means
/// [`Failure::Retry`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Try again after the usual backoff; after the last attempt it is a dead letter.
    Retry(Box<dyn Error + Send + Sync>),
    /// Try again after this long. Counts as an attempt.
    RetryAfter(Duration, Box<dyn Error + Send + Sync>),
    /// Trying again will not help: a dead letter at once.
    Park(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// Trying again will not help.
    pub fn park(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Park(reason.into())
    }

    /// Try again after this long.
    pub fn retry_after(delay: Duration, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::RetryAfter(delay, reason.into())
    }

    /// Why.
    pub(crate) fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Retry(error) | Self::RetryAfter(_, error) | Self::Park(error) => &**error,
        }
    }

    /// Why, alone.
    pub(crate) fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Retry(error) | Self::RetryAfter(_, error) | Self::Park(error) => error,
        }
    }

    /// What it means for the event's letter.
    pub(crate) fn into_fault(self) -> Fault {
        let error = in_words(self.cause());
        let panicked = self.cause().is::<Panic>();
        let (reason, then) = match self {
            Self::Retry(_) => (Reason::Handler, Then::Backoff),
            Self::RetryAfter(delay, _) => (Reason::Handler, Then::After(delay)),
            Self::Park(_) if panicked => (Reason::Panic, Then::Dead),
            Self::Park(_) => (Reason::Parked, Then::Dead),
        };
        Fault {
            reason,
            error,
            then,
        }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Retry(error.into())
    }
}
