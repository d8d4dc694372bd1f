//! The whole path, with the real binaries as processes.
//!
//! What runs embedded needs no server; the rest is behind the feature `servers`, which
//! `scripts/test` turns on, and fails without them.

mod bootstrap;
mod captured;
#[cfg(feature = "servers")]
mod catalog;
mod dead_letters;
mod freshness;
mod large_events;
#[cfg(feature = "servers")]
mod late_commits;
mod packages;
mod single_events;
#[cfg(feature = "servers")]
mod tls;
mod under_load;
mod workers;
