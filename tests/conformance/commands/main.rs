//! What the commands do, on either database.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

mod documented;
mod master;
mod reference;
mod replica;
