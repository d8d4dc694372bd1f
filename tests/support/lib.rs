//! What the tests of the workspace share: private servers, databases and names of their own, the
//! real binaries as processes, a service under load, and the ledger that proves the promises.

pub mod account;
pub mod database;
pub mod ledger;
pub mod pause;
pub mod postgres;
pub mod process;
pub mod rabbitmq;
pub mod services;
pub mod stack;
pub mod wait;
pub mod writers;

/// README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The guide's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide.md")]
pub struct Guide;
