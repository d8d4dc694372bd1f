//! The outbox in `SQLite`.

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
mod transaction;

pub(crate) use migrations::{MIGRATIONS, migrate};
pub use session::SqliteSession;
pub use store::SqliteStore;
pub use transaction::RecordingTransaction;
