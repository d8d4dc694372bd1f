//! Why a handler did not do what was asked.

use std::error::Error;

use crate::StoreError;

/// Marks an error of the domain: a rule that forbids what was asked. With it, `?` and `.into()` make a
/// [`Failure::Rejected`].
pub trait Rejection: Error + Send + Sync + 'static {}

/// For handlers that refuse nothing.
impl Rejection for std::convert::Infallible {}

/// What a handler fails with.
#[derive(Debug)]
pub enum Failure<E> {
    /// A rule of the domain forbids it. The caller gets this error as it is.
    Rejected(E),
    /// The database failed. A [`StoreError::Conflict`] is tried again.
    Store(StoreError),
    /// A mistake in the program, or a failure of something else.
    Other(Box<dyn Error + Send + Sync>),
}

impl<E> Failure<E> {
    /// A failure of something other than the database.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The same with another error of the domain, as where one handler's part is another's.
    pub fn map<F>(self, rejected: impl FnOnce(E) -> F) -> Failure<F> {
        match self {
            Self::Rejected(error) => Failure::Rejected(rejected(error)),
            Self::Store(error) => Failure::Store(error),
            Self::Other(error) => Failure::Other(error),
        }
    }
}

impl<E: Rejection> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Rejected(error)
    }
}

impl<E> From<StoreError> for Failure<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl<E> From<sqlx::Error> for Failure<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(crate::database::classify(error))
    }
}
