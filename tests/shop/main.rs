//! The shop of `examples/shop`: its APIs, and the way from one to the other.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

mod bed;
mod crowd;
mod document;
mod orders;
mod reports;
mod whole;
