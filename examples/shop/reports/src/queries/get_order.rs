//! One order.

use cqrs_core::bus::{Failure, Query, QueryHandler};
use serde::Serialize;

use super::{Queries, ReportError};
use crate::model::{OrderView, Reads, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct GetOrder {
    pub id: String,
}

impl Query for GetOrder {
    const NAME: &'static str = "get_order";
    type Output = OrderView;
}

impl<S: Reads> QueryHandler<GetOrder, S> for Queries {
    type Error = ReportError;

    async fn handle(
        &self,
        query: &GetOrder,
        transaction: &mut S::Transaction,
    ) -> Result<OrderView, Failure<ReportError>> {
        let order = transaction.order(&query.id).await?;
        Ok(order.ok_or_else(|| ReportError::Unknown {
            what: "order",
            id: query.id.clone(),
        })?)
    }
}
