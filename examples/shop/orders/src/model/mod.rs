//! What the shop owns, and the tables it is kept in.

mod account;
mod catalogue;
mod database;
mod error;
mod order;
mod postgres;
mod product;
mod rows;
mod sqlite;
mod tables;

pub use account::{Account, AccountStatus};
pub use database::Database;
pub use error::ShopError;
pub use order::{Line, Order, OrderStatus};
pub use product::Product;
pub use tables::{Reads, Store, Tables};
