//! How far a series of fetches has come.

use super::OutboxRow;

/// How many bytes of bodies one answer of [`OutboxSession::fetch`](crate::OutboxSession::fetch)
/// holds, but for its last row.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const FETCH_BYTES: usize = 8 << 20;

/// How many rows of whatever slot a fetch looks through at most.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const FETCH_SCAN: usize = 20_000;

/// How far a series of fetches has come. Made by a store, meaningful to it alone.
///
/// The rows up to `id` that `snapshot` shows have been returned, and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Every id up to this one has been looked at.
    pub(crate) id: i64,
    /// On `PostgreSQL`, which transactions were visible by then (`pg_snapshot`).
    pub(crate) snapshot: Option<String>,
    /// On `PostgreSQL`, how far the late rows have come that were too many for one answer.
    pub(crate) late: Option<LateRows>,
}

/// Rows up to a position's id that became visible after its snapshot, returned in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LateRows {
    /// The highest id of theirs that has been returned.
    pub(crate) after: i64,
    /// The snapshot that says which rows they are.
    pub(crate) until: String,
}

impl Position {
    /// Before everything, also rows that somebody gave ids below 1.
    pub const START: Self = Self {
        id: i64::MIN,
        snapshot: None,
        late: None,
    };
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

/// An answer of [`OutboxSession::fetch`](crate::OutboxSession::fetch).
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The rows, those that became visible late first.
    pub rows: Vec<OutboxRow>,
    /// Where to go on.
    pub position: Position,
    /// Whether the answer was cut short, even to nothing: ask again at once.
    pub more: bool,
}
