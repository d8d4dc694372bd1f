//! The shop's service that owns accounts, products and orders: views in [`api`], commands and queries with
//! their handlers, and the [`model`] with its tables. Every change is recorded in the transaction that makes
//! it, for whoever keeps a copy.

#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "an application: its names say what they are, and nobody else builds on it"
)]

pub mod api;
mod buses;
pub mod commands;
pub mod model;
pub mod queries;
mod service;

pub use buses::Buses;
pub use service::Service;
