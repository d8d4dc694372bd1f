//! What the replica's store promises, in one suite for all databases.
//!
//! The bodies are generic over a [`fixture::Fixture`]; `postgres.rs` and `sqlite.rs` run all of
//! them, and add what is theirs alone.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

#[macro_use]
mod fixture;
mod anything;
mod bookkeeping;
mod broker_letters;
mod faults;
mod freshness;
mod handlers;
mod hooks;
mod in_step;
mod letters;
mod message;
mod order;
mod paused;
#[cfg(feature = "servers")]
mod postgres;
mod recorder;
mod references;
mod retries;
mod schema;
mod spans;
mod sqlite;
mod syncs;
mod tables;
mod trees;
mod unique;
mod values;
