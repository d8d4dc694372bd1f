//! What happened to an instance.

use std::{fmt, str::FromStr};

/// `signal_type` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The instance was created or changed; the data is its new state.
    Save,
    /// The instance is gone.
    Delete,
    /// The current state, sent again without a change.
    Sync,
}

impl Signal {
    /// The word used on the wire and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Save => "SAVE",
            Self::Delete => "DELETE",
            Self::Sync => "SYNC",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        match text {
            "SAVE" => Ok(Self::Save),
            "DELETE" => Ok(Self::Delete),
            "SYNC" => Ok(Self::Sync),
            other => Err(UnknownSignal(other.chars().take(40).collect())),
        }
    }
}

/// A `signal_type` that is none of the three.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signal_type {0:?} is none of SAVE, DELETE, SYNC")]
pub struct UnknownSignal(String);
