//! What the reports can be asked: one file for each query.

mod account_page;
mod get_order;
mod list_orders;
mod list_products;
mod revenue;

pub use account_page::AccountPage;
pub use get_order::GetOrder;
pub use list_orders::{ListOrders, OrderList};
pub use list_products::ListProducts;
pub use revenue::Revenue;

use cqrs_core::bus::Rejection;

/// The handlers of all queries.
#[derive(Debug, Clone)]
pub struct Queries;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("there is no {what} {id} here: it never was, or has not arrived yet")]
    Unknown { what: &'static str, id: String },
}

impl Rejection for ReportError {}
