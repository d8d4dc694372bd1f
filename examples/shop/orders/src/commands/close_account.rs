//! Closes an account, once nothing is on its way to it.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Commands;
use crate::model::{Account, AccountStatus, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloseAccount {
    pub account_id: Uuid,
    pub version: i64,
}

impl Command for CloseAccount {
    const NAME: &'static str = "close_account";
    type Output = Account;
}

impl<S: Store> CommandHandler<CloseAccount, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &CloseAccount,
        context: &mut Context<'_, S>,
    ) -> Result<Account, Failure<ShopError>> {
        let id = command.account_id;
        // Whoever places an order locks the account too: none can come in between.
        let account = context.transaction.lock_account(id).await?;
        let before = account.ok_or(ShopError::unknown("account", id))?;
        before.expect_version(command.version)?;
        before.expect_open()?;
        if context.transaction.placed_orders(id).await? > 0 {
            return Err(ShopError::OrdersPlaced(id).into());
        }
        let after = Account {
            status: AccountStatus::Closed,
            version: before.version + 1,
            ..before
        };
        context.transaction.update_account(&after).await?;
        outbox::record(context.transaction, Change::saved(&after)).await?;
        Ok(after)
    }
}
