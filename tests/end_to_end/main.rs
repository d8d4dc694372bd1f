//! The whole path, with the real binaries as processes.
//!
//! What runs embedded needs no server; the rest is behind the feature `servers`, which
//! `scripts/test` turns on, and fails without them.

mod bootstrap;
mod captured;
#[cfg(feature = "servers")]
mod catalog;
mod dead_letters;
#[cfg(feature = "servers")]
mod documented;
mod freshness;
#[cfg(feature = "servers")]
mod full_queue;
mod hot_instance;
#[cfg(feature = "servers")]
mod interrupted;
mod large_events;
#[cfg(feature = "servers")]
mod late_commits;
mod packages;
mod paused;
#[cfg(feature = "servers")]
mod poolers;
#[cfg(feature = "servers")]
mod sent_once;
mod single_events;
#[cfg(feature = "servers")]
mod tls;
#[cfg(feature = "servers")]
mod unable_relays;
mod under_load;
#[cfg(feature = "servers")]
mod unreadable;
mod workers;
