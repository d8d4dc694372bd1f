//! What the service can be asked about its own state. Lists, searches and sums are the reports' business.

mod account;
mod order;
mod products;

pub use account::GetAccount;
pub use order::GetOrder;
pub use products::ListProducts;

/// The handlers of all queries.
#[derive(Debug, Clone)]
pub struct Queries;
