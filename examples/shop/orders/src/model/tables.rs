//! The tables, as the handlers see them on either database.

use std::{future::Future, ops::DerefMut};

use cqrs_core::bus::{CommandStore, QueryStore};
use cqrs_outbox::OpenTransaction;
use sqlx::Error;
use uuid::Uuid;

use super::{Account, Order, Product};

/// The statements of the shop, on a connection. `lock_…` reads what the transaction is going to change:
/// until its end nobody else changes it.
pub trait Tables: Send {
    fn account(&mut self, id: Uuid) -> impl Future<Output = Result<Option<Account>, Error>> + Send;
    fn lock_account(
        &mut self,
        id: Uuid,
    ) -> impl Future<Output = Result<Option<Account>, Error>> + Send;
    fn insert_account(
        &mut self,
        account: &Account,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn update_account(
        &mut self,
        account: &Account,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn products(&mut self) -> impl Future<Output = Result<Vec<Product>, Error>> + Send;
    fn lock_product(
        &mut self,
        id: Uuid,
    ) -> impl Future<Output = Result<Option<Product>, Error>> + Send;
    fn insert_product(
        &mut self,
        product: &Product,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn update_product(
        &mut self,
        product: &Product,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn order(&mut self, id: Uuid) -> impl Future<Output = Result<Option<Order>, Error>> + Send;
    fn lock_order(&mut self, id: Uuid)
    -> impl Future<Output = Result<Option<Order>, Error>> + Send;
    fn insert_order(&mut self, order: &Order) -> impl Future<Output = Result<(), Error>> + Send;
    fn update_order(&mut self, order: &Order) -> impl Future<Output = Result<(), Error>> + Send;
    /// How many orders of the account are neither shipped nor cancelled.
    fn placed_orders(&mut self, account: Uuid) -> impl Future<Output = Result<i64, Error>> + Send;
}

/// Where commands are executed: its transactions know the tables, and events can be recorded in them.
pub trait Store: CommandStore<Transaction: OpenTransaction + DerefMut<Target: Tables>> {}
impl<S> Store for S where S: CommandStore<Transaction: OpenTransaction + DerefMut<Target: Tables>> {}

/// Where queries are answered.
pub trait Reads: QueryStore<Transaction: DerefMut<Target: Tables>> {}
impl<S> Reads for S where S: QueryStore<Transaction: DerefMut<Target: Tables>> {}
