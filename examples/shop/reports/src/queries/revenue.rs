//! The revenue of some days.

use chrono::NaiveDate;
use cqrs_core::bus::{Failure, Query, QueryHandler, Violations};
use serde::Serialize;

use super::{Queries, ReportError};
use crate::model::{Reads, RevenueDay, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct Revenue {
    pub from: NaiveDate,
    /// This day too.
    pub to: NaiveDate,
}

impl Query for Revenue {
    const NAME: &'static str = "revenue";
    type Output = Vec<RevenueDay>;

    fn validate(&self, violations: &mut Violations) {
        violations.require(self.from <= self.to, "to", "must not be before from");
        let days = (self.to - self.from).num_days();
        violations.require(days <= 3_700, "from", "must be within ten years of to");
    }
}

impl<S: Reads> QueryHandler<Revenue, S> for Queries {
    type Error = ReportError;

    async fn handle(
        &self,
        query: &Revenue,
        transaction: &mut S::Transaction,
    ) -> Result<Vec<RevenueDay>, Failure<ReportError>> {
        let (from, to) = (query.from.to_string(), query.to.to_string());
        Ok(transaction.revenue(&from, &to).await?)
    }
}
