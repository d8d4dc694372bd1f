//! The name of a replica's queue.

use std::{fmt, str::FromStr, sync::Arc};

/// A queue of the broker, named by the service that reads it: `queue` in django-cqrs.
///
/// 1 to 120 bytes, no control characters, no routing wildcards. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 120;

    /// Checks and wraps a name.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, QueueNameError> {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.len() > Self::MAX_LEN {
            "is longer than 120 bytes"
        } else if text.contains(['*', '#']) {
            "contains a routing wildcard (`*` or `#`)"
        } else if text.chars().any(char::is_control) {
            "contains a control character"
        } else {
            return Ok(Self(text.into()));
        };
        Err(QueueNameError {
            name: text.chars().take(140).collect(),
            problem,
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(text: &str) -> Result<Self, QueueNameError> {
        Self::new(text)
    }
}

/// A text that cannot be a [`QueueName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue name {name:?} {problem}")]
pub struct QueueNameError {
    name: String,
    problem: &'static str,
}
