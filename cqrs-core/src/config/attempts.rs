//! How often something is tried.

use toml::de::DeValue;

use super::kind::{Integer, Kind, Raw};

/// After how many failed attempts a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// After this many, the first one included: 1 means no retry.
    UpTo(u32),
    /// Never.
    Unlimited,
}

impl Attempts {
    /// As a retry policy has it.
    #[must_use]
    pub const fn limit(self) -> Option<u32> {
        match self {
            Self::UpTo(limit) => Some(limit),
            Self::Unlimited => None,
        }
    }
}

const NUMBER: Integer<u32> = Integer(1..=1_000_000);
const WORD: &str = "unlimited";

/// A number of attempts, or the word for no limit: a 0 would be read as "none" by one and as "no
/// limit" by another.
pub(super) struct AttemptsKind;

impl Kind for AttemptsKind {
    type Out = Attempts;

    fn read(&self, raw: Raw<'_>) -> Result<Attempts, String> {
        match raw {
            Raw::Text(WORD) => Ok(Attempts::Unlimited),
            Raw::Toml(DeValue::String(text)) if text == WORD => Ok(Attempts::Unlimited),
            _ => NUMBER.read(raw).map(Attempts::UpTo),
        }
    }

    fn expected(&self) -> String {
        format!("{} or {WORD:?}", NUMBER.expected())
    }

    fn show(&self, value: &Attempts) -> String {
        match value {
            Attempts::UpTo(limit) => limit.to_string(),
            Attempts::Unlimited => format!("{WORD:?}"),
        }
    }

    fn type_name(&self) -> &'static str {
        "integer or string"
    }

    fn range(&self) -> String {
        format!("{} or {WORD:?}", NUMBER.range())
    }
}
