//! Gives an account another name.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure, Violations};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Commands, check_name};
use crate::model::{Account, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenameAccount {
    pub account_id: Uuid,
    pub version: i64,
    pub name: String,
}

impl Command for RenameAccount {
    const NAME: &'static str = "rename_account";
    type Output = Account;

    fn validate(&self, violations: &mut Violations) {
        check_name(&self.name, violations);
    }
}

impl<S: Store> CommandHandler<RenameAccount, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &RenameAccount,
        context: &mut Context<'_, S>,
    ) -> Result<Account, Failure<ShopError>> {
        let id = command.account_id;
        let account = context.transaction.lock_account(id).await?;
        let before = account.ok_or(ShopError::unknown("account", id))?;
        before.expect_version(command.version)?;
        before.expect_open()?;
        let after = Account {
            name: command.name.clone(),
            version: before.version + 1,
            ..before
        };
        context.transaction.update_account(&after).await?;
        outbox::record(context.transaction, Change::saved(&after)).await?;
        Ok(after)
    }
}
