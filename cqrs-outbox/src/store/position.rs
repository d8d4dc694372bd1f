//! How far a series of fetches has come.

use chrono::{DateTime, Utc};

use super::OutboxRow;

/// How many bytes of bodies one answer of [`OutboxSession::fetch`](crate::OutboxSession::fetch)
/// holds, but for its last row.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const FETCH_BYTES: usize = 8 << 20;

/// How many rows of whatever slot a fetch looks through at most.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const FETCH_SCAN: usize = 20_000;

/// How many rows are returned ahead of late ones and not settled, at most.
#[cfg(feature = "postgres")]
pub(crate) const FETCH_AHEAD: usize = 2_000;

/// How far a series of fetches has come. Made by a store, meaningful to it alone.
///
/// The rows up to `id` that `snapshot` shows have been returned, those that were passed before and
/// those that were returned ahead, and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Every id up to this one has been looked at.
    pub(crate) id: i64,
    /// On `PostgreSQL`, which transactions were visible by then (`pg_snapshot`).
    pub(crate) snapshot: Option<String>,
    /// On `PostgreSQL`, when the server was started that gave it.
    pub(crate) server: Option<DateTime<Utc>>,
    /// On `PostgreSQL`, what was passed when the series went back to the rows of a large transaction.
    pub(crate) passed: Vec<Passed>,
    /// Meanwhile, the id up to which rows have been looked at that need not wait for them.
    pub(crate) looked: i64,
    /// Such rows past `id` that have been returned.
    pub(crate) ahead: Vec<i64>,
}

/// Rows that were returned: those up to an id that a snapshot shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) upto: i64,
    pub(crate) snapshot: String,
}

impl Position {
    /// Before everything, also rows that somebody gave ids below 1.
    pub const START: Self = Self {
        id: i64::MIN,
        snapshot: None,
        server: None,
        passed: Vec::new(),
        looked: i64::MIN,
        ahead: Vec::new(),
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
