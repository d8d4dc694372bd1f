//! Servers that go away in the middle, or object to what they are sent. Each test has servers of its
//! own.

#[cfg(feature = "servers")]
mod campaign;
#[cfg(feature = "servers")]
mod durability;
#[cfg(feature = "servers")]
mod objections;
#[cfg(feature = "servers")]
mod restarts;
