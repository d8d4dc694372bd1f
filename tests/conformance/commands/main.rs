//! What the commands promise, in one suite for all databases.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

mod replica;
