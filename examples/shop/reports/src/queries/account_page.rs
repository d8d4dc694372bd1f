//! An account and what it has ordered.

use cqrs_core::bus::{Failure, Query, QueryHandler};
use serde::Serialize;

use super::{Queries, ReportError};
use crate::model::{Account, Reads, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct AccountPage {
    pub id: String,
}

impl Query for AccountPage {
    const NAME: &'static str = "account_page";
    type Output = Account;
}

impl<S: Reads> QueryHandler<AccountPage, S> for Queries {
    type Error = ReportError;

    async fn handle(
        &self,
        query: &AccountPage,
        transaction: &mut S::Transaction,
    ) -> Result<Account, Failure<ReportError>> {
        let account = transaction.account(&query.id).await?;
        Ok(account.ok_or_else(|| ReportError::Unknown {
            what: "account",
            id: query.id.clone(),
        })?)
    }
}
