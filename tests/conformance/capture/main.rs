//! Writes to a captured table, whoever makes them, are the events that recording them would have made.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

mod sqlite;
