//! The outbox in `PostgreSQL`.

mod dead;
mod fetch;
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

pub(crate) use migrations::{MIGRATIONS, migrate};
pub use reader::PostgresReader;
pub use session::PostgresSession;
pub use snapshot::PostgresSnapshot;
pub use store::PostgresStore;
