//! All products.

use cqrs_core::bus::{Failure, Query, QueryHandler};
use serde::Serialize;

use super::{Queries, ReportError};
use crate::model::{Product, Reads, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct ListProducts;

impl Query for ListProducts {
    const NAME: &'static str = "list_products";
    type Output = Vec<Product>;
}

impl<S: Reads> QueryHandler<ListProducts, S> for Queries {
    type Error = ReportError;

    async fn handle(
        &self,
        _: &ListProducts,
        transaction: &mut S::Transaction,
    ) -> Result<Vec<Product>, Failure<ReportError>> {
        Ok(transaction.products().await?)
    }
}
