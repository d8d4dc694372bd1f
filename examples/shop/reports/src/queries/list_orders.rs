//! A page of orders, newest first.

use cqrs_core::bus::{Failure, Query, QueryHandler, Violations};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Queries, ReportError};
use crate::model::{ListFilter, OrderView, Page, Reads, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct ListOrders {
    pub account: Option<String>,
    pub status: Option<String>,
    pub search: Option<String>,
    /// What the page before said in `next`.
    pub after: Option<String>,
    pub limit: i64,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderList {
    pub orders: Vec<OrderView>,
    /// What to give as `after` for the next page; none if this is the last.
    pub next: Option<String>,
}

impl Query for ListOrders {
    const NAME: &'static str = "list_orders";
    type Output = OrderList;

    fn validate(&self, violations: &mut Violations) {
        let limit = (1..=200).contains(&self.limit);
        violations.require(limit, "limit", "must be from 1 to 200");
        let after = self
            .after
            .as_deref()
            .is_none_or(|text| page(text).is_some());
        violations.require(after, "after", "must be what a page said in next");
        let statuses = ["placed", "cancelled", "shipped"];
        let status = self
            .status
            .as_deref()
            .is_none_or(|status| statuses.contains(&status));
        violations.require(status, "status", "must be placed, cancelled or shipped");
        // A text with a NUL is none to PostgreSQL.
        for (field, text) in [("account", &self.account), ("search", &self.search)] {
            let plain = text
                .as_deref()
                .is_none_or(|text| !text.contains('\0') && text.len() <= 200);
            violations.require(plain, field, "must be a short text");
        }
    }
}

impl<S: Reads> QueryHandler<ListOrders, S> for Queries {
    type Error = ReportError;

    async fn handle(
        &self,
        query: &ListOrders,
        transaction: &mut S::Transaction,
    ) -> Result<OrderList, Failure<ReportError>> {
        let filter = ListFilter {
            account: query.account.clone(),
            status: query.status.clone(),
            search: query.search.clone(),
            after: query.after.as_deref().and_then(page),
            // One more, to know whether there is another page.
            limit: query.limit + 1,
        };
        let mut orders = transaction.orders(&filter).await?;
        let size = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = orders.len() > size;
        orders.truncate(size);
        let last = orders.last().filter(|_| more);
        let next = last.map(|last| format!("{}.{}", last.placed_at.timestamp_micros(), last.id));
        Ok(OrderList { orders, next })
    }
}

/// A place in the list, from its text.
fn page(text: &str) -> Option<Page> {
    let (placed_at, id) = text.split_once('.')?;
    (!id.contains('\0')).then_some(Page {
        placed_at: placed_at.parse().ok()?,
        id: id.to_owned(),
    })
}
