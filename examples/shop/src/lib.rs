//! A small shop of two services, with all that lies between them, in one process: the orders' service, its
//! outbox, a relay, a broker, a worker, the reports' service, and a page on top. See `README.md` beside this.

#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "an application: its names say what they are, and nobody else builds on it"
)]

pub mod page;
pub mod pipeline;
pub mod place;
pub mod system;
pub mod traffic;
