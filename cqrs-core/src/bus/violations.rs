//! What is wrong with a command or a query by itself.

use std::{borrow::Cow, fmt};

use serde::Serialize;

/// All that is wrong, so that a form can show it at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Violations {
    found: Vec<Violation>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The field, as a path from the outermost (`lines.2.quantity`).
    pub field: Cow<'static, str>,
    /// What is wrong with it, as in "must not be empty".
    pub problem: Cow<'static, str>,
}

impl Violations {
    /// Adds one unless the condition holds.
    pub fn require(
        &mut self,
        holds: bool,
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
    ) {
        if !holds {
            self.found.push(Violation {
                field: field.into(),
                problem: problem.into(),
            });
        }
    }

    /// What has been found, in the order of the checks.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.found
    }

    /// Whether nothing has been found.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.found.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", violation.field, violation.problem)?;
        }
        Ok(())
    }
}
