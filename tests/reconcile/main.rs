//! `cqrs-replica reconcile`, with the real binaries, on either database on either side.
//!
//! What runs embedded needs no server; the rest is behind the feature `servers`.

mod asking;
mod cut_off;
mod kinds;
mod late;
#[cfg(feature = "servers")]
mod lost_queue;
mod sizes;
mod terms;
mod watching;
mod world;
