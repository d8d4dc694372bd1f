//! Applying messages, written once for all databases.
//!
//! A batch is one transaction: the instances are locked in key order, the items judged by
//! [`crate::rules`], tables written set by set, handlers and hooks called each in a savepoint, then
//! states and letters stored. When the transaction fails for the sake of a message, it is repeated
//! message by message, and the one that fails alone becomes a letter in a transaction of its own.
//! Rows that are in each other's way (one refers to another that is not there, or has its unique
//! value) are found out together: the batch is repeated as a whole, and they become letters in it.
//! Retries and ended waits take the same way. What a lock, or its own slowness, is in the way of is
//! found by the same repetition and set aside as a letter without an attempt; so is what the database
//! does not take, though it answers.

mod alone;
mod backend;
mod batch;
mod calling;
mod diagnosis;
mod due;
mod handlers;
mod hindered;
mod hooked;
mod import;
mod instance;
mod item;
mod judging;
mod last_resort;
mod letters;
mod observe;
mod obstacles;
mod outcome;
mod paused;
mod plans;
mod references;
mod session;
mod tables;

#[cfg(feature = "postgres")]
pub(crate) use backend::Pace;
pub(crate) use backend::{Backend, Failed, InTheWay, InstanceId, Locked, OBSTRUCTING, Span, Work};
pub(crate) use calling::{Called, call};
pub(crate) use session::Session;
