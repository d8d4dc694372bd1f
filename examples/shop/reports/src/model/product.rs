//! Copies of products.

use cqrs_replica::Replica;
use serde::Serialize;
use utoipa::ToSchema;

/// The table that the framework keeps.
#[derive(Debug, Replica)]
#[replica(cqrs_id = "product", table = "product_ref")]
pub struct ProductRef {
    #[replica(key)]
    pub id: String,
    pub name: String,
    pub price: i64,
    pub stock: i64,
}

/// A product, as far as has been heard here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Product {
    pub id: String,
    pub name: String,
    /// In cents.
    pub price: i64,
    pub stock: i64,
}
