//! What the relay's store promises, in one suite for all databases.
//!
//! The bodies are generic over a [`fixture::Fixture`]; `postgres.rs` and `sqlite.rs` name those that
//! apply, and add what is theirs alone.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

#[macro_use]
mod fixture;
mod backlog;
mod corrupt;
mod dead;
mod fetching;
mod late;
mod leases;
#[cfg(feature = "servers")]
mod postgres;
mod retrying;
mod settling;
mod sqlite;
mod statements;
