//! One account, as it is now.

use cqrs_core::bus::{Failure, Query, QueryHandler};
use serde::Serialize;
use uuid::Uuid;

use super::Queries;
use crate::model::{Account, Reads, ShopError, Tables};

#[derive(Debug, Clone, Serialize)]
pub struct GetAccount {
    pub id: Uuid,
}

impl Query for GetAccount {
    const NAME: &'static str = "get_account";
    type Output = Account;
}

impl<S: Reads> QueryHandler<GetAccount, S> for Queries {
    type Error = ShopError;

    async fn handle(
        &self,
        query: &GetAccount,
        transaction: &mut S::Transaction,
    ) -> Result<Account, Failure<ShopError>> {
        let found = transaction.account(query.id).await?;
        Ok(found.ok_or(ShopError::unknown("account", query.id))?)
    }
}
