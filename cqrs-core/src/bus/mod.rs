//! Commands change the state, queries read it; each is a plain struct with one handler that holds the
//! business logic, and whoever calls (a view, a consumer, a test) only translates.
//!
//! A [`CommandBus`] begins the transaction, gives it to the handler, and commits it: what the handler
//! wrote, the events it recorded and the command's result become visible together, or not at all. A
//! [`QueryBus`] gives its handlers a transaction that the database itself keeps from writing.
//!
//! ```
//! # use cqrs_core::{Token, bus::*};
//! # use serde::{Serialize, Deserialize};
//! #[derive(Serialize)]
//! struct Rename { account: i64, name: String }
//!
//! impl Command for Rename {
//!     const NAME: &'static str = "rename_account";
//!     type Output = i64;
//!
//!     fn validate(&self, violations: &mut Violations) {
//!         violations.require(!self.name.is_empty(), "name", "must not be empty");
//!     }
//! }
//!
//! #[derive(Debug, thiserror::Error)]
//! enum RenameError {
//!     #[error("there is no account {0}")]
//!     NoAccount(i64),
//! }
//! impl Rejection for RenameError {}
//!
//! /// What the handlers of this service need, as ordinary fields.
//! struct Accounts { reserved: Vec<String> }
//! # struct Store;
//! # impl CommandStore for Store {
//! #     type Transaction = Vec<String>;
//! #     async fn begin(&self, _: &CommandRecord) -> Result<Begun<Vec<String>>, cqrs_core::StoreError> { Ok(Begun::New(vec![])) }
//! #     async fn commit(&self, _: Vec<String>, _: &CommandRecord, _: &str) -> Result<Token, cqrs_core::StoreError> { Ok(Token::default()) }
//! #     async fn rollback(&self, _: Vec<String>) -> Result<(), cqrs_core::StoreError> { Ok(()) }
//! # }
//!
//! impl CommandHandler<Rename, Store> for Accounts {
//!     type Error = RenameError;
//!
//!     async fn handle(
//!         &self,
//!         command: &Rename,
//!         context: &mut Context<'_, Store>,
//!     ) -> Result<i64, Failure<RenameError>> {
//!         if self.reserved.contains(&command.name) {
//!             return Err(RenameError::NoAccount(command.account).into());
//!         }
//!         // … with `context.transaction`: write first, record last.
//! #       context.transaction.push(command.name.clone());
//!         Ok(command.account)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BusError<RenameError>> {
//! let bus = CommandBus::new(Store, Accounts { reserved: vec![] });
//! let rename = Rename { account: 1, name: "Ada".to_owned() };
//! let done = bus.execute(uuid::Uuid::from_u128(7), &rename).await?;
//! assert_eq!(done.output, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What it does around a handler
//! In this order: a span and metrics ([`metrics`]); [`validate`](Command::validate); a deadline; a
//! transaction; for commands, whether this id has been executed before; the handler, whose panic is
//! caught; the commit. A deadlock or a serialization failure begins again with a new transaction.
//! It is plain code in one function of each bus: read [`CommandBus::execute`].
//!
//! # Which handler
//! Dispatch is by type: `execute` compiles only if the bus's handlers implement [`CommandHandler`] for that
//! command, and a second implementation is refused by the compiler with the command's name.
//!
//! ```compile_fail,E0277
//! # use cqrs_core::bus::*;
//! # #[derive(serde::Serialize)] struct Close;
//! # impl Command for Close { const NAME: &'static str = "close"; type Output = (); }
//! async fn view<S: CommandStore>(bus: &CommandBus<S, Vec<u8>>, id: uuid::Uuid) {
//!     let done = bus.execute(id, &Close).await; // `Vec<u8>` does not handle the command `Close`
//! }
//! ```
//!
//! ```compile_fail,E0119
//! # use cqrs_core::bus::*;
//! # #[derive(serde::Serialize)] struct Close;
//! # impl Command for Close { const NAME: &'static str = "close"; type Output = (); }
//! # struct Accounts;
//! impl<S: CommandStore> CommandHandler<Close, S> for Accounts {
//! #   type Error = std::convert::Infallible;
//! #   async fn handle(&self, _: &Close, _: &mut Context<'_, S>) -> Result<(), Failure<Self::Error>> { Ok(()) }
//!     // …
//! }
//! // conflicting implementations of trait `CommandHandler<Close, _>` for type `Accounts`
//! impl<S: CommandStore> CommandHandler<Close, S> for Accounts {
//! #   type Error = std::convert::Infallible;
//! #   async fn handle(&self, _: &Close, _: &mut Context<'_, S>) -> Result<(), Failure<Self::Error>> { Ok(()) }
//!     // …
//! }
//! ```
//!
//! # When not to use it
//! A service whose views write one row each needs no bus: a transaction and `outbox::record` do. Take it
//! where rules span rows, where callers repeat their requests, or where a user has to see their own
//! change in another service at once. It is no message queue: a command is executed by the caller's
//! process, now, and its result returned.

mod command;
mod command_bus;
mod context;
mod error;
mod failure;
mod limits;
mod observation;
mod query;
mod query_bus;
mod store;
mod violations;

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[doc = include_str!("../docs/bus_metrics.md")]
pub mod metrics {}

pub use command::{Command, CommandHandler};
pub use command_bus::{CommandBus, Done};
pub use context::Context;
pub use error::BusError;
pub use failure::{Failure, Rejection};
pub use query::{Query, QueryHandler};
pub use query_bus::QueryBus;
pub use store::{Begun, CommandRecord, CommandStore, Kept, QueryStore};
pub use violations::{Violation, Violations};
