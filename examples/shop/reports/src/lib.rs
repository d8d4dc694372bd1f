//! The shop's service that reads. Its [`model`] is fed by the events of the orders' service: plain copies of
//! accounts and products, which the framework keeps, and a view of orders with the revenue of each day, which
//! a handler keeps. [`queries`] read it, views in [`api`] show it. Nothing here writes anything but what
//! the worker applies.

#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "an application: its names say what they are, and nobody else builds on it"
)]

pub mod api;
mod bus;
pub mod model;
pub mod queries;
mod service;

pub use bus::Bus;
pub use service::{QUEUE, Service};
