//! The count of an instance's published changes.

use std::fmt;

/// The number of an instance's state: 0 for the first, one more for each published change.
///
/// django-cqrs keeps it in a 32-bit column; this type is wider so that no message is refused for it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
