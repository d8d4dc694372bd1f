//! Accounts.

use cqrs_outbox::Master;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ShopError;

/// A customer of the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Master)]
#[master(cqrs_id = "account")]
pub struct Account {
    #[master(key)]
    pub id: Uuid,
    pub name: String,
    pub status: AccountStatus,
    /// How often it was changed. Whoever changes it says which version they have seen.
    pub version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    Open,
    Closed,
}

impl AccountStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        [Self::Open, Self::Closed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

impl Account {
    /// That it is the version its user has seen.
    pub fn expect_version(&self, seen: i64) -> Result<(), ShopError> {
        if self.version == seen {
            return Ok(());
        }
        Err(ShopError::Stale {
            what: "account",
            id: self.id,
            seen,
            version: self.version,
        })
    }

    /// That orders may be placed on it, and its name changed.
    pub fn expect_open(&self) -> Result<(), ShopError> {
        match self.status {
            AccountStatus::Open => Ok(()),
            AccountStatus::Closed => Err(ShopError::AccountClosed(self.id)),
        }
    }
}
