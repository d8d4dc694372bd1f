//! A handler's word on an event that it did not apply.

use std::{error::Error, time::Duration};

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
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Retry(error.into())
    }
}
