//! What the reports are made of, and how events get into it.

mod account;
mod database;
mod order;
mod postgres;
mod product;
mod rows;
mod sqlite;
mod tables;

pub use account::{Account, AccountRef};
pub use database::Database;
pub use order::{OrderHandler, OrderLine, OrderView, RevenueDay};
pub use product::{Product, ProductRef};
pub use tables::{ListFilter, Page, Reads, Tables};

use cqrs_replica::{Model, ReplicaStore};

/// The models of this replica: two tables that the framework keeps, and one handler. Register them with a
/// worker.
pub fn models<S>() -> anyhow::Result<Vec<Model<S>>>
where
    S: ReplicaStore<Connection: Tables>,
{
    Ok(vec![
        Model::of::<AccountRef>()?,
        Model::of::<ProductRef>()?,
        Model::handler("order".parse()?, OrderHandler),
    ])
}
