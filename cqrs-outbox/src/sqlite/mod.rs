//! The outbox in `SQLite`.

mod capture;
mod commands;
mod dead;
mod fetch;
mod instances;
mod lease;
mod migrations;
mod reader;
mod record;
mod rows;
mod session;
mod settle;
mod snapshot;
mod source;
mod sql;
mod store;
mod tables;
mod transaction;

pub use commands::SqliteCommands;
pub(crate) use migrations::{MIGRATIONS, migrate};
pub use reader::SqliteReader;
pub use session::SqliteSession;
pub use snapshot::SqliteSnapshot;
pub use store::SqliteStore;
pub use transaction::RecordingTransaction;
