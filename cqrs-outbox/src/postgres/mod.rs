//! The outbox in `PostgreSQL`.

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

pub use commands::PostgresCommands;
pub(crate) use migrations::{MIGRATIONS, migrate};
pub use reader::PostgresReader;
pub use session::PostgresSession;
pub use snapshot::PostgresSnapshot;
pub use store::PostgresStore;
