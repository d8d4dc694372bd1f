//! The tables, as handlers and queries see them on either database.

use std::{future::Future, ops::DerefMut};

use cqrs_core::bus::QueryStore;
use sqlx::Error;

use super::{
    Account, OrderView, Product, RevenueDay,
    order::{OrderState, Share},
};

/// Which orders are asked for. All conditions hold at once.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    pub account: Option<String>,
    pub status: Option<String>,
    /// A part of the account's or of a product's name.
    pub search: Option<String>,
    /// After this place in the list.
    pub after: Option<Page>,
    pub limit: i64,
}

/// A place in the list of orders, newest first: that of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub placed_at: i64,
    pub id: String,
}

/// The statements of the reports, on a connection.
pub trait Tables: Send {
    // The handler's.
    fn share(&mut self, id: &str) -> impl Future<Output = Result<Option<Share>, Error>> + Send;
    fn add_to_day(&mut self, share: &Share) -> impl Future<Output = Result<(), Error>> + Send;
    fn write_order(&mut self, order: &OrderState)
    -> impl Future<Output = Result<(), Error>> + Send;
    fn remove_order(&mut self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    // The queries'.
    fn orders(
        &mut self,
        filter: &ListFilter,
    ) -> impl Future<Output = Result<Vec<OrderView>, Error>> + Send;
    fn order(&mut self, id: &str) -> impl Future<Output = Result<Option<OrderView>, Error>> + Send;
    fn account(&mut self, id: &str) -> impl Future<Output = Result<Option<Account>, Error>> + Send;
    fn products(&mut self) -> impl Future<Output = Result<Vec<Product>, Error>> + Send;
    fn revenue(
        &mut self,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Result<Vec<RevenueDay>, Error>> + Send;
}

/// Where queries are answered.
pub trait Reads: QueryStore<Transaction: DerefMut<Target: Tables>> {}
impl<S> Reads for S where S: QueryStore<Transaction: DerefMut<Target: Tables>> {}
