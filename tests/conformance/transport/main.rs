//! What a transport promises, in one suite for all of them.
//!
//! The bodies are generic over a [`fixture::Fixture`]; `rabbitmq.rs` and `embedded.rs` name those that
//! apply, and add what is theirs alone.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

#[macro_use]
mod fixture;
mod browsing;
mod confirms;
mod consuming;
mod content;
mod embedded;
#[cfg(feature = "servers")]
mod rabbitmq;
mod restarts;
mod routing;
mod temporary;
