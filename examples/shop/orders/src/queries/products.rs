//! What is on the shelves.

use cqrs_core::bus::{Failure, Query, QueryHandler};
use serde::Serialize;

use super::Queries;
use crate::model::{Product, Reads, ShopError, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct ListProducts;

impl Query for ListProducts {
    const NAME: &'static str = "list_products";
    type Output = Vec<Product>;
}

impl<S: Reads> QueryHandler<ListProducts, S> for Queries {
    type Error = ShopError;

    async fn handle(
        &self,
        _: &ListProducts,
        transaction: &mut S::Transaction,
    ) -> Result<Vec<Product>, Failure<ShopError>> {
        Ok(transaction.products().await?)
    }
}
