//! What every database of the master side must do, and what is particular to one.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

mod record;
mod source;
mod store;
