//! The outbox in `PostgreSQL`.

mod capture;
mod dead;
mod fetch;
mod lease;
mod migrations;
mod record;
mod rows;
mod session;
mod settle;
mod source;
mod sql;
mod store;
mod tables;

pub(crate) use migrations::{MIGRATIONS, migrate};
pub use session::PostgresSession;
pub use store::PostgresStore;
