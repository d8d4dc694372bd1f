//! Opens an account.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure, Violations};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Commands, check_name};
use crate::model::{Account, AccountStatus, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    pub name: String,
}

impl Command for OpenAccount {
    const NAME: &'static str = "open_account";
    type Output = Account;

    fn validate(&self, violations: &mut Violations) {
        check_name(&self.name, violations);
    }
}

impl<S: Store> CommandHandler<OpenAccount, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &OpenAccount,
        context: &mut Context<'_, S>,
    ) -> Result<Account, Failure<ShopError>> {
        let account = Account {
            // The command makes one account, so its id will do for it.
            id: context.id,
            name: command.name.clone(),
            status: AccountStatus::Open,
            version: 0,
        };
        context.transaction.insert_account(&account).await?;
        outbox::record(context.transaction, Change::saved(&account)).await?;
        Ok(account)
    }
}
