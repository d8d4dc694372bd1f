//! One order, as it is now.

use cqrs_core::bus::{Failure, Query, QueryHandler};
use serde::Serialize;
use uuid::Uuid;

use super::Queries;
use crate::model::{Order, Reads, ShopError, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct GetOrder {
    pub id: Uuid,
}

impl Query for GetOrder {
    const NAME: &'static str = "get_order";
    type Output = Order;
}

impl<S: Reads> QueryHandler<GetOrder, S> for Queries {
    type Error = ShopError;

    async fn handle(
        &self,
        query: &GetOrder,
        transaction: &mut S::Transaction,
    ) -> Result<Order, Failure<ShopError>> {
        let found = transaction.order(query.id).await?;
        Ok(found.ok_or(ShopError::unknown("order", query.id))?)
    }
}
