//! What the tests of the workspace share: private servers, databases and names of their own, the
//! real binaries as processes, a service under load, and the ledger that proves the promises.

pub mod account;
pub mod database;
pub mod ledger;
pub mod link;
pub mod pages;
pub mod pause;
pub mod postgres;
pub mod process;
pub mod rabbitmq;
pub mod raw_amqp;
pub mod services;
pub mod stack;
pub mod wait;
pub mod writers;

/// README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The guide's examples compile, and those of its story run.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/guide/1-crud.md")]
    pub struct Crud;
    #[doc = include_str!("../../docs/guide/2-commands-and-queries.md")]
    pub struct CommandsAndQueries;
    #[doc = include_str!("../../docs/guide/3-events.md")]
    pub struct Events;
    #[doc = include_str!("../../docs/guide/4-replicas.md")]
    pub struct Replicas;
    #[doc = include_str!("../../docs/guide/master.md")]
    pub struct Master;
    #[doc = include_str!("../../docs/guide/replica.md")]
    pub struct Replica;
    #[doc = include_str!("../../docs/guide/values.md")]
    pub struct Values;
}
