//! The name of a replicated model.

use std::{fmt, str::FromStr, sync::Arc};

/// The name under which a model travels: `CQRS_ID` in django-cqrs, the routing key of its broadcasts.
///
/// 1 to 100 bytes; no white space or control characters, no `*` or `#` (wildcards of a topic
/// exchange), and not starting with `cqrs.` (the routing keys of direct messages). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CqrsId(Arc<str>);

impl CqrsId {
    /// The longest id, in bytes. With the longest queue name it still fits a routing key.
    pub const MAX_LEN: usize = 100;

    /// Checks and wraps an id.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, CqrsIdError> {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.len() > Self::MAX_LEN {
            "is longer than 100 bytes"
        } else if text.contains(['*', '#']) {
            "contains a routing wildcard (`*` or `#`)"
        } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            "contains white space or a control character"
        } else if text.starts_with("cqrs.") {
            "starts with `cqrs.`, which is reserved for direct messages"
        } else {
            return Ok(Self(text.into()));
        };
        Err(CqrsIdError {
            id: text.chars().take(120).collect(),
            problem,
        })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CqrsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for CqrsId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for CqrsId {
    type Err = CqrsIdError;

    fn from_str(text: &str) -> Result<Self, CqrsIdError> {
        Self::new(text)
    }
}

/// A text that cannot be a [`CqrsId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cqrs_id {id:?} {problem}")]
pub struct CqrsIdError {
    id: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_names_people_use() {
        for id in ["account", "billing.Account", "a-b_c", "Ünï", "1"] {
            assert_eq!(CqrsId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn names_the_broken_rule() {
        let long = "x".repeat(101);
        for (id, rule) in [
            ("", "empty"),
            (long.as_str(), "100 bytes"),
            ("a.*", "wildcard"),
            ("a#", "wildcard"),
            ("a b", "white space"),
            ("a\0", "control"),
            ("cqrs.q.account", "reserved"),
        ] {
            let error = CqrsId::new(id).unwrap_err().to_string();
            assert!(error.contains(rule), "{id:?}: {error}");
        }
    }
}
