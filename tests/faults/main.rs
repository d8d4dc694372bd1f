//! Servers that go away in the middle. Each test has servers of its own.

#[cfg(feature = "servers")]
mod durability;
#[cfg(feature = "servers")]
mod restarts;
